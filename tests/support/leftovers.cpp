#include "support/leftovers.hpp"

#include "support/watchdog.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>
#include <thread>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace multifork::test {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

struct ProcessState {
    pid_t pid = 0;
    std::string command;
    char state = '?';
    pid_t parent = 0;
    pid_t group = 0;
};

std::set<pid_t> expected;

/// Reads /proc/PID/stat: "pid (command) state parent group …", where the command may hold anything.
std::optional<ProcessState> read_process(const fs::path& folder) {
    std::ifstream file(folder / "stat");
    std::string text;
    std::getline(file, text, '\0'); // unlike an iterator, throws nothing when the process is gone
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) {
        return std::nullopt; // ended while we looked
    }
    ProcessState process;
    process.command = text.substr(open + 1, close - open - 1);
    std::istringstream head(text.substr(0, open));
    std::istringstream tail(text.substr(close + 1));
    if (!(head >> process.pid) || !(tail >> process.state >> process.parent >> process.group)) {
        return std::nullopt;
    }
    return process;
}

bool is_number(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char digit) { return digit >= '0' && digit <= '9'; });
}

/// Our children, zombies included, and what runs in our process group. An orphan's zombie is for
/// init to reap, not for us.
std::vector<ProcessState> our_processes() {
    const pid_t self = getpid();
    const bool own_group = getpgrp() == self;
    std::vector<ProcessState> found;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
        if (!is_number(entry.path().filename().string())) {
            continue;
        }
        const std::optional<ProcessState> process = read_process(entry.path());
        if (!process || process->pid == self) {
            continue;
        }
        const bool ended = process->state == 'Z' || process->state == 'X';
        if (process->parent == self || (own_group && process->group == self && !ended)) {
            found.push_back(*process);
        }
    }
    return found;
}

/// Whether the process has mapped the file; it may have closed its descriptor since.
bool has_mapped(const fs::path& process, ino_t file, const std::string& path) {
    std::ifstream maps(process / "maps");
    const std::string number = " " + std::to_string(file) + " ";
    for (std::string line; std::getline(maps, line);) {
        if (line.find(number) != std::string::npos && line.find(path) != std::string::npos) {
            return true;
        }
    }
    return false;
}

/// Whether a process that is not of this test has the file open or mapped: then it is that one's
/// affair.
bool is_used_by_others(const std::string& entry) {
    // By its number: a file that got its name late has none in /proc.
    struct stat file {};
    if (stat((fs::path("/dev/shm") / entry).c_str(), &file) != 0) {
        return true; // gone, as it was not ours
    }
    if (file.st_uid != geteuid()) {
        return true; // another user's, whose processes do not show what they have open
    }
    std::error_code ignored;
    for (const fs::directory_entry& process : fs::directory_iterator("/proc", ignored)) {
        const std::string pid = process.path().filename().string();
        if (!is_number(pid) || getpgid(static_cast<pid_t>(std::stol(pid))) == getpgrp()) {
            continue;
        }
        fs::directory_iterator descriptor(process.path() / "fd", ignored);
        for (; !ignored && descriptor != fs::directory_iterator(); descriptor.increment(ignored)) {
            struct stat open {};
            if (stat(descriptor->path().c_str(), &open) == 0 && open.st_dev == file.st_dev &&
                open.st_ino == file.st_ino) {
                return true;
            }
        }
        ignored.clear();
        if (has_mapped(process.path(), file.st_ino, entry)) {
            return true;
        }
    }
    return false;
}

/// The process id in a name made by unique_name().
std::optional<pid_t> owner_of(const std::string& name) {
    static const std::regex mark("-t([0-9]+)-");
    std::smatch match;
    if (!std::regex_search(name, match, mark)) {
        return std::nullopt;
    }
    return static_cast<pid_t>(std::stol(match[1]));
}

std::set<std::string> our_entries() {
    std::set<std::string> found;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator("/dev/shm", ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("multifork") && owner_of(name).value_or(getpid()) == getpid()) {
            found.insert(name);
        }
    }
    return found;
}

} // namespace

void Leftovers::remember() {
    processes_.clear();
    for (const ProcessState& process : our_processes()) {
        processes_.insert(process.pid);
    }
    entries_ = our_entries();
}

struct Leftovers::Found {
    std::vector<ProcessState> processes;
    std::vector<std::string> entries;
};

Leftovers::Found Leftovers::find() const {
    Found found;
    for (const ProcessState& process : our_processes()) {
        if (!processes_.contains(process.pid) && !expected.contains(process.pid)) {
            found.processes.push_back(process);
        }
    }
    for (const std::string& entry : our_entries()) {
        if (!entries_.contains(entry) && !is_used_by_others(entry)) {
            found.entries.push_back(entry);
        }
    }
    return found;
}

std::vector<std::string> Leftovers::clean_up() const {
    // Processes that were told to end may not have been run since. And an entry without a mark may
    // be that of a test beside this one, which has closed it and has not unlinked it yet.
    const auto begin = std::chrono::steady_clock::now();
    const auto patience = milliseconds(5'000) * slowdown();
    Found found = find();
    while (!(found.processes.empty() && found.entries.empty()) &&
           std::chrono::steady_clock::now() < begin + patience) {
        std::this_thread::sleep_for(milliseconds(5));
        found = find();
    }

    std::vector<std::string> lines;
    for (const ProcessState& process : found.processes) {
        std::ostringstream line;
        line << "process " << process.pid << " (" << process.command << "), state " << process.state
             << ", parent " << process.parent;
        lines.push_back(line.str());
        kill(process.pid, SIGKILL);
        if (process.parent == getpid()) {
            waitpid(process.pid, nullptr, 0);
        }
    }
    for (const std::string& entry : found.entries) {
        lines.push_back("/dev/shm/" + entry);
        std::error_code ignored;
        fs::remove(fs::path("/dev/shm") / entry, ignored);
    }
    return lines;
}

void expect_leftover_process(pid_t process) {
    expected.insert(process);
}

std::string unique_name(const std::string& stem) {
    static int count = 0;
    count += 1;
    return stem + "-t" + std::to_string(getpid()) + "-" + std::to_string(count);
}

} // namespace multifork::test
