#include "crew.hpp"

#include "toolkit/team.hpp"

#include <multifork/multifork.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace demo {
namespace mp = multifork;
using namespace std::chrono_literals;
namespace {

struct Job {
    std::uint64_t file;
    std::string path;
};

struct Report {
    std::uint64_t file;
    std::uint64_t worker;
    FileCount::State state;
    int error;
    std::uint64_t lines;
    std::uint64_t words;
    std::uint64_t bytes;
    Frequencies frequencies;
};

void work(std::uint64_t me, mp::Queue<Job>& jobs, mp::Queue<Report>& reports) {
    for (const Job& job : jobs) { // until the queue is closed and drained
        FileCount count = count_file(job.path);
        const auto [lines, words, bytes] = count.totals;
        reports.put(
            {job.file, me, count.state, count.error, lines, words, bytes, std::move(count.words)});
    }
}

void add(const Report& report, CrewResult& result) {
    ++result.by_worker.at(report.worker);
    switch (report.state) {
    case FileCount::State::not_text:
        ++result.not_text;
        return;
    case FileCount::State::unreadable:
        result.unreadable.push_back(report.file);
        result.errors.push_back(report.error);
        return;
    case FileCount::State::counted:
        break;
    }
    result.counted.push_back(report.file);
    result.totals.lines += report.lines;
    result.totals.words += report.words;
    result.totals.bytes += report.bytes;
    for (const auto& [word, times] : report.frequencies)
        result.words[word] += times;
}

} // namespace

CrewResult count_in_processes(const std::vector<Source>& files, int workers,
                              const std::function<void(std::size_t)>& watch) {
    mp::Queue<Job> jobs{64};
    mp::Queue<Report> reports{64};
    CrewResult result;
    result.by_worker.resize(static_cast<std::size_t>(workers));

    std::vector<mp::Process> crew;
    for (std::uint64_t me = 0; me < result.by_worker.size(); ++me)
        crew.emplace_back(
            mp::ProcessOptions{.name = fmt::format("Process-{}", me + 1), .daemon = true},
            [&, me] { work(me, jobs, reports); });
    for (auto& process : crew)
        process.start();

    std::vector<bool> done(files.size(), false);
    std::size_t sent = 0;
    std::size_t received = 0;
    const auto receive = [&](const Report& report) {
        done.at(report.file) = true;
        add(report, result);
        watch(++received);
    };
    while (received < files.size()) {
        // Never waits here: the workers may all be waiting for room in the other queue.
        while (sent < files.size() && jobs.try_put({sent, files[sent].path}))
            ++sent;
        if (sent == files.size())
            jobs.close();
        if (const auto report = reports.try_get_for(50ms)) {
            receive(*report);
        } else if (std::none_of(crew.begin(), crew.end(), [](auto& p) { return p.is_alive(); })) {
            while (const auto last = reports.try_get())
                receive(*last);
            break;
        }
    }
    jobs.close();
    for (auto& process : crew) {
        process.join();
        if (auto line = how_it_fell(process); !line.empty())
            result.fallen.push_back(std::move(line));
    }
    for (std::size_t file = 0; file < files.size(); ++file)
        if (!done[file])
            result.missing.push_back(file);
    std::sort(result.counted.begin(), result.counted.end());
    return result;
}

} // namespace demo
