#pragma once

#include <multifork/process/process.hpp>
#include <multifork/process/start_method.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace multifork {

/// A Process with a start method of its own.
template <StartMethod method>
class ProcessBy : public Process {
public:
    using runs_its_target = void; // it can become a Process

    /// A process that does nothing.
    ProcessBy() : ProcessBy([] {}) {}

    template <class F, class... Args>
        requires detail::TargetWith<F, Args...>
    explicit ProcessBy(F&& target, Args&&... args)
        : ProcessBy(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(args)...) {}

    template <class F, class... Args>
        requires detail::TargetWith<F, Args...>
    explicit ProcessBy(ProcessOptions options, F&& target, Args&&... args)
        : Process(with_method(std::move(options)), std::forward<F>(target),
                  std::forward<Args>(args)...) {
        static_assert(method == StartMethod::fork || detail::crosses<F>,
                      "this target cannot cross into a process that is not forked: use a function, "
                      "or a closure whose captures are trivially copyable, and give the rest as "
                      "arguments");
        static_assert(method == StartMethod::fork || (detail::crosses<Args> && ...),
                      "one of these arguments cannot cross into a process that is not forked: it "
                      "must be trivially copyable without addresses, known to the codec, or a "
                      "handle on a shared object");
    }

private:
    static ProcessOptions with_method(ProcessOptions options) {
        options.start_method = method;
        return options;
    }
};

using ForkProcess = ProcessBy<StartMethod::fork>;
using SpawnProcess = ProcessBy<StartMethod::spawn>;
using ForkServerProcess = ProcessBy<StartMethod::forkserver>;

/// A start method, and what is made with it.
///
/// Shared objects (Lock, Queue, ...) need no context here: whichever way a process was started, it
/// can use them.
class MULTIFORK_API Context {
public:
    explicit Context(StartMethod method) noexcept : method_(method) {}

    [[nodiscard]] std::string get_start_method() const { return std::string(to_string(method_)); }
    [[nodiscard]] StartMethod start_method() const noexcept { return method_; }
    /// Itself.
    [[nodiscard]] Context get_context() const noexcept { return *this; }
    /// A context has the method that it has. \throws ProcessError
    [[noreturn]] void set_start_method(std::string_view name) const;

    /// A process that start() will start by this context's method. Without a target it does
    /// nothing.
    [[nodiscard]] Process process(ProcessOptions options = {}) const {
        return process(std::move(options), [] {});
    }
    template <class F, class... Args>
        requires detail::TargetWith<F, Args...>
    [[nodiscard]] Process process(F&& target, Args&&... args) const {
        return process(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
        requires detail::TargetWith<F, Args...>
    [[nodiscard]] Process process(ProcessOptions options, F&& target, Args&&... args) const {
        options.start_method = method_;
        return Process(std::move(options), std::forward<F>(target), std::forward<Args>(args)...);
    }

    bool operator==(const Context&) const = default;

private:
    StartMethod method_;
};

/// The context of a start method: "fork", "spawn" or "forkserver". \throws InvalidArgument
[[nodiscard]] MULTIFORK_API Context get_context(std::string_view method);
/// The context of get_start_method(), which from then on is chosen.
[[nodiscard]] MULTIFORK_API Context get_context();

} // namespace multifork
