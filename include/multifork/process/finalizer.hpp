#pragma once

#include <multifork/memory/shareable.hpp>
#include <multifork/platform/export.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace multifork {

namespace detail {

struct ExitHandler {
    virtual ~ExitHandler() = default;
    virtual void operator()() = 0;
};

} // namespace detail

/// An exit handler that was registered by at_exit(): a reference to it, which may be dropped.
///
/// \threads   safe: of several that run or cancel the same handler, one does
/// \fork      a child has none of its parent's handlers; there a handle says false to everything
class MULTIFORK_API Finalizer {
public:
    /// Of nothing.
    constexpr Finalizer() noexcept = default;

    /// Runs it now instead of at the exit. \return whether this call did
    /// \throws what the handler throws
    bool run();
    /// Drops it. \return whether this call did; false when it has run, runs, or was dropped
    bool cancel() noexcept;
    /// Whether it is still to run.
    [[nodiscard]] bool active() const noexcept;

    /// \internal
    constexpr Finalizer(int priority, std::uint64_t number) noexcept
        : priority_(priority), number_(number) {}

private:
    int priority_ = 0;
    std::uint64_t number_ = 0;
};

namespace detail {
/// As good as one: its number means something in its own process alone.
template <>
inline constexpr bool is_address<Finalizer> = true;
} // namespace detail

namespace detail {

[[nodiscard]] MULTIFORK_API Finalizer register_exit_handler(std::unique_ptr<ExitHandler> handler,
                                                            int priority);
/// Runs what is registered, and what that registers; says on stderr what they throw.
/// \threads safe, also while others register, run and cancel: each handler runs at most once
MULTIFORK_API void run_exit_handlers() noexcept;

} // namespace detail

/// Registers a function that runs when *this process* ends by returning from its target or from
/// main, or by exit(): the highest priority first, and of the same priority the last one first.
///
/// Like std::atexit(), which runs them, but with captures, priorities and a handle to run or drop
/// one earlier. A child process runs what it has registered itself, and nothing of its parent's. A
/// process that is killed runs nothing: what must be put right even then belongs into the repair
/// function of a Lock.
///
/// An exception that leaves one is said on stderr, and the others run.
///
/// \threads   safe
/// \fork      the child's copy of the parent's handlers is neither run nor destroyed
template <class F>
    requires std::invocable < std::decay_t<F>
& > Finalizer at_exit(F&& function, int priority = 0) {
    struct Holder final : detail::ExitHandler {
        explicit Holder(F&& given) : f(std::forward<F>(given)) {}
        void operator()() override { f(); }
        std::decay_t<F> f;
    };
    return detail::register_exit_handler(std::make_unique<Holder>(std::forward<F>(function)),
                                         priority);
}

} // namespace multifork
