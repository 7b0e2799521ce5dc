#pragma once

#include <multifork/error.hpp>
#include <multifork/format.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/process/start_method.hpp>
#include <multifork/process/target.hpp>

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace multifork {

/// What a Process may be told before it starts.
struct ProcessOptions {
    /// "" for Process-1, Process-2, ...; a child's children are Process-1:1, Process-1:2, ...
    std::string name = {};
    /// A daemon is terminated when its Process object goes, and dies with its parent, even if that
    /// is SIGKILLed.
    bool daemon = false;
    /// Nothing: what get_start_method() says at start().
    std::optional<StartMethod> start_method = {};
};

namespace detail {
struct Child;
}

/// A process that was, or will be, started; a copyable reference that owns nothing.
///
/// \threads   safe: several threads may ask, and wait for, the same child
/// \processes only the process that made it may start, join, or signal it; others may look at its
/// name
class MULTIFORK_API ProcessHandle {
public:
    using multifork_describable = void;

    [[nodiscard]] std::string name() const;
    [[nodiscard]] bool daemon() const;
    /// Empty before start().
    [[nodiscard]] std::optional<int> pid() const;
    /// The pid of the process that made it.
    [[nodiscard]] int ppid() const;
    /// Empty before the end. 0: the target returned; 1: an exception left it; n: it called exit(n);
    /// -n: signal n ended it. 255 when somebody else reaped the child and it did not say.
    [[nodiscard]] std::optional<int> exitcode() const;
    [[nodiscard]] bool is_alive() const;
    /// The exception that left the target, if any.
    [[nodiscard]] std::optional<RemoteError> error() const;

    /// Waits until the process has ended. \throws ProcessError before start, by itself, by a
    /// stranger
    void join() const;
    /// Waits at most `wait`; zero or less looks once. \return whether it has ended \throws as
    /// join()
    template <class Rep, class Period>
    [[nodiscard]] bool try_join_for(const std::chrono::duration<Rep, Period>& wait) const {
        return join_before(platform::Deadline::after(wait));
    }

    /// Sends SIGTERM. Does nothing when it has ended. \throws ProcessError before start
    void terminate() const;
    /// Sends SIGKILL. Does nothing when it has ended. \throws ProcessError before start
    void kill() const;
    /// Sends SIGINT. Does nothing when it has ended. \throws ProcessError before start
    void interrupt() const;

    /// A descriptor that becomes readable when the process ends, for poll(). It belongs to the
    /// process object until close(). \throws ProcessError before start
    [[nodiscard]] int sentinel() const;

    /// Gives up what the parent keeps about the child; most calls throw afterwards. Twice is once.
    /// \throws ProcessError while it runs
    void close() const;

    /// `<Process name='Process-7' pid=4242 parent=4200 started>`, `... stopped exitcode=-9>`
    [[nodiscard]] std::string to_string() const;

    explicit ProcessHandle(std::shared_ptr<detail::Child> child) noexcept;
    ProcessHandle(const ProcessHandle&);
    ProcessHandle(ProcessHandle&&) noexcept;
    ProcessHandle& operator=(const ProcessHandle&);
    ProcessHandle& operator=(ProcessHandle&&) noexcept;
    ~ProcessHandle();

protected:
    [[nodiscard]] bool join_before(platform::Deadline deadline) const;
    /// \throws ProcessError when this object was moved from
    [[nodiscard]] detail::Child& child() const;
    std::shared_ptr<detail::Child> child_;
};

namespace detail {
/// Something to run, and arguments for it; not one of the other things that a Process is made from.
template <class F, class... Args>
concept TargetWith = std::invocable<std::decay_t<F>, std::decay_t<Args>...> &&
                     !std::derived_from<std::decay_t<F>, ProcessHandle> &&
                     !std::same_as<std::decay_t<F>, ProcessOptions>;

/// A class derived from Process by a user.
template <class Derived, class Process>
concept HasOwnRun =
    std::derived_from<Derived, Process> && !std::same_as<Derived, Process> && !requires {
    typename Derived::runs_its_target;
};
} // namespace detail

/// A function that runs in a process of its own.
///
/// \code
///   mp::Process a{work, 1, 2.5};
///   mp::Process b{{.name = "second", .daemon = true}, [&] { ... }};
///   a.start(); b.start();
///   a.join();
///   fmt::print("{} {}\n", a, a.exitcode().value());
/// \endcode
///
/// By fork, the default, the child is a copy of its parent at start(): it sees all the parent's
/// memory as it was, and shares what lies in shared memory (Value, Queue, Lock, ...). What the
/// target and its arguments are does not matter, so long as they can be moved: nothing is
/// serialised.
///
/// By spawn and forkserver (set_start_method(), get_context(), SpawnProcess) the child has nothing
/// of its parent's memory, threads and descriptors. The target and its arguments cross: a function,
/// or a closure that captures what is trivially copyable; arguments that the codec knows, handles
/// on shared objects, and text: what a `const char*` points to, up to the first zero, is copied for
/// the child. What cannot cross start() refuses, before there is a child.
///
/// The child ends without running what its parent registered with atexit(); what it registers
/// itself, it runs. Standard output is flushed before the fork and at the child's end, so that
/// nothing is lost or said twice. Threads that the target has left running end with it, as at the
/// end of main(): join them. An exception that leaves the target is printed with the child's
/// name, and kept: see error().
///
/// A Process that goes out of scope joins its child (as std::jthread does); a daemon is terminated
/// first, and killed if it has not ended after five seconds.
///
/// Movable. Derive from it and override run() instead of giving a function, if you like; by fork
/// alone.
class MULTIFORK_API Process : public ProcessHandle {
public:
    /// A process that does nothing, unless it is of a derived class that overrides run().
    Process() : Process(ProcessOptions{}) {}

    template <class F, class... Args>
        requires detail::TargetWith<F, Args...>
    explicit Process(F&& target, Args&&... args)
        : Process(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(args)...) {}

    /// \param args  moved or copied now, and moved into the target in the child
    template <class F, class... Args>
        requires detail::TargetWith<F, Args...>
    explicit Process(ProcessOptions options, F&& target, Args&&... args)
        : Process(std::move(options)) {
        target_ = std::make_unique<detail::Call<std::decay_t<F>, std::decay_t<Args>...>>(
            std::in_place, std::forward<F>(target), std::forward<Args>(args)...);
    }

    /// The same.
    explicit Process(ProcessOptions options);

    /// As in `std::vector<Process>`: of an object with a run() of its own only the Process would
    /// move, which does nothing. Keep such objects by their type, or by pointer.
    template <detail::HasOwnRun<Process> Derived>
    Process(Derived&&) = delete;

    Process(Process&&) noexcept;
    /// Joins, as the destructor does, what was there.
    Process& operator=(Process&&) noexcept;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    /// Joins. A daemon is terminated first.
    virtual ~Process();

    /// Makes the child. Returns at once.
    /// \throws ProcessError when it was started before, or the system has no room for another
    /// process; NotShareable when the target or an argument cannot cross; OutOfSharedMemory
    void start();

    /// \name Before start() only
    /// \throws ProcessError afterwards
    /// @{
    void set_name(std::string name);
    void set_daemon(bool daemon);
    /// @}

protected:
    /// What the child does: calls the target.
    virtual void run();

private:
    void start_by_fork();
    void start_elsewhere(StartMethod method);
    [[noreturn]] void be_the_child(bool was_alone);
    void finish() noexcept;

    std::unique_ptr<detail::Callable> target_;
};

/// The children of this process that were started and have not been joined; reaps those that have
/// ended.
[[nodiscard]] MULTIFORK_API std::vector<ProcessHandle> active_children();

} // namespace multifork
