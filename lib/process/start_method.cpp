#include "process/start_method.hpp"

#include "platform/immortal.hpp"
#include "platform/own_threads.hpp"
#include "platform/system.hpp"
#include "process/fork_server.hpp"

#include <multifork/error.hpp>
#include <multifork/process/context.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>
#include <set>

namespace multifork {
namespace {

struct Choice {
    std::mutex mutex;
    StartMethod inherited = StartMethod::fork;
    std::optional<StartMethod> chosen;
    std::optional<std::string> program; // nothing: this one
    std::vector<std::string> preload;
};

constinit platform::Immortal<Choice> the_choice;
constinit std::atomic<fork_with_threads> policy{fork_with_threads::warn};
constinit std::atomic<bool> warned{false};

constexpr std::array methods{StartMethod::fork, StartMethod::spawn, StartMethod::forkserver};

#if defined(__SANITIZE_THREAD__)
#define MULTIFORK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MULTIFORK_TSAN 1
#endif
#endif

/// The names of this process's threads but the calling one and the library's.
std::vector<std::string> other_threads() {
    std::set<int> others;
    std::error_code error;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error))
        others.insert(std::atoi(task.path().filename().c_str()));
    others.erase(::gettid());
#ifdef MULTIFORK_TSAN
    // ThreadSanitizer's own thread is the first one that a process gets beside its main thread, and
    // its mutexes are held over a fork.
    if (const auto first = others.upper_bound(::getpid()); first != others.end())
        others.erase(first);
#endif
    std::vector<std::string> names;
    for (const int thread : others) {
        if (platform::is_own_thread(thread))
            continue;
        std::string name;
        std::getline(std::ifstream(fmt::format("/proc/self/task/{}/comm", thread)), name);
        const auto number = static_cast<std::uint32_t>(thread);
        if (name.empty() && !platform::thread_exists(platform::process_id(), number))
            continue; // it has ended since; perhaps one of ours, which is forgotten then
        names.push_back(name.empty() ? std::to_string(thread) : name);
    }
    return names;
}

} // namespace

std::string_view to_string(StartMethod method) noexcept {
    switch (method) {
    case StartMethod::fork:
        return "fork";
    case StartMethod::spawn:
        return "spawn";
    case StartMethod::forkserver:
        return "forkserver";
    }
    return "unknown";
}

StartMethod start_method_of(std::string_view name) {
    for (const StartMethod method : methods)
        if (to_string(method) == name)
            return method;
    throw InvalidArgument(
        fmt::format("there is no start method '{}'; take fork, spawn or forkserver", name));
}

std::vector<std::string> get_all_start_methods() {
    std::vector<std::string> names;
    for (const StartMethod method : methods)
        names.emplace_back(to_string(method));
    return names;
}

std::optional<std::string> get_start_method_if_set() {
    const std::scoped_lock hold(the_choice->mutex);
    if (!the_choice->chosen)
        return std::nullopt;
    return std::string(to_string(*the_choice->chosen));
}

std::string get_start_method() {
    const std::scoped_lock hold(the_choice->mutex);
    if (!the_choice->chosen)
        the_choice->chosen = the_choice->inherited;
    return std::string(to_string(*the_choice->chosen));
}

void set_start_method(std::string_view name, bool force) {
    const StartMethod method = start_method_of(name);
    const std::scoped_lock hold(the_choice->mutex);
    if (the_choice->chosen && !force)
        throw ProcessError(
            std::errc::invalid_argument,
            fmt::format("set_start_method(\"{}\") after the start method was chosen ({}); say it "
                        "once, at the beginning of main(), or force it",
                        name, to_string(*the_choice->chosen)));
    the_choice->chosen = method;
}

void set_executable(const std::filesystem::path& program) {
    const std::scoped_lock hold(the_choice->mutex);
    the_choice->program.reset();
    if (!program.empty())
        the_choice->program = program.string();
}

void set_forkserver_preload(std::vector<std::filesystem::path> libraries) {
    if (detail::fork_server_runs())
        throw ProcessError(std::errc::invalid_argument,
                           "set_forkserver_preload() after the fork server was started; say it "
                           "before the first process");
    const std::scoped_lock hold(the_choice->mutex);
    the_choice->preload.clear();
    for (const auto& library : libraries)
        the_choice->preload.push_back(library.string());
}

void set_fork_policy(fork_with_threads wanted) noexcept {
    policy = wanted;
}

void Context::set_start_method(std::string_view name) const {
    throw ProcessError(std::errc::invalid_argument,
                       fmt::format("set_start_method(\"{}\") on a context, which has the start "
                                   "method '{}' for good; get another context",
                                   name, get_start_method()));
}

Context get_context(std::string_view method) {
    return Context(start_method_of(method));
}
Context get_context() {
    return Context(start_method_of(get_start_method()));
}

namespace detail {

StartMethod default_start_method() noexcept {
    const std::scoped_lock hold(the_choice->mutex);
    return the_choice->chosen.value_or(the_choice->inherited);
}

void inherit_start_method(StartMethod method) noexcept {
    the_choice->inherited = method;
    the_choice->chosen.reset();
}

std::string executable() {
    {
        const std::scoped_lock hold(the_choice->mutex);
        if (the_choice->program)
            return *the_choice->program;
    }
    constexpr const char* self = "/proc/self/exe";
    if (::access(self, X_OK) != 0)
        throw ProcessError(std::errc::no_such_file_or_directory,
                           "the path of this program cannot be found out (/proc/self/exe), and a "
                           "spawned process runs it; mount /proc, or call set_executable()");
    return self;
}

std::vector<std::string> forkserver_preload() {
    const std::scoped_lock hold(the_choice->mutex);
    return the_choice->preload;
}

void heed_fork_policy() {
    const fork_with_threads wanted = policy.load();
    if (wanted == fork_with_threads::allow ||
        (wanted == fork_with_threads::warn &&
         (warned.load() || platform::is_own_thread(::gettid()))) ||
        platform::has_one_thread())
        return;
    const std::vector<std::string> names = other_threads();
    if (names.empty())
        return;
    const std::string text = fmt::format(
        "a process is forked while other threads run ({}): a mutex that one of them holds stays "
        "locked in the child; start the threads later, use start method forkserver or spawn, or "
        "call set_fork_policy(fork_with_threads::allow)",
        fmt::join(names, ", "));
    if (wanted == fork_with_threads::refuse)
        throw ProcessError(std::errc::operation_not_permitted, text);
    if (!warned.exchange(true))
        // fmt::print() throws where stderr cannot be written to.
        std::fputs(fmt::format("multifork: {}\n", text).c_str(), stderr);
}

void lock_start_method_for_fork() {
    the_choice->mutex.lock();
}
void unlock_start_method_after_fork() noexcept {
    the_choice->mutex.unlock();
}

} // namespace detail
} // namespace multifork
