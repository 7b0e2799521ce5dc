#pragma once

#include <multifork/channel/connection.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

namespace multifork {

namespace detail {

class Link;
class Source;
struct Watch;

[[nodiscard]] MULTIFORK_API std::shared_ptr<Source>
source_of_ring(core::RingHeader& ring, const core::RingShape& shape, const arena::Object& object);

} // namespace detail

/// Something that one can wait for: a connection, a queue, a process, or any descriptor.
///
/// It is *ready* when taking from it would not wait: a connection has a message or has ended, a
/// queue has an item or is closed, a process has ended, a descriptor is readable or hung up. So is
/// a connection through a socket that another thread closes meanwhile: taking from it throws.
class MULTIFORK_API Waitable {
public:
    /// Waits for `fd` to be readable. It must stay open meanwhile.
    Waitable(int fd); // NOLINT: converts, so that wait({queue, socket}) reads well
    /// \throws ConnectionClosed, Error when it only sends
    Waitable(const AnyConnection& connection); // NOLINT
    template <class T>
    Waitable(const Queue<T>& queue) // NOLINT
        : source_(detail::source_of_ring(queue.ring(), queue.shape(), queue.object())) {}
    /// A process, by its end; or a listener, by who wants to connect.
    template <class P>
        requires requires(const P& p) {
            { p.sentinel() } -> std::same_as<int>;
        }
    Waitable(const P& process) : Waitable(process.sentinel()) {} // NOLINT

    /// \internal -1 for what lies in shared memory
    [[nodiscard]] int descriptor() const noexcept { return fd_; }
    /// \internal the connection through a socket that the descriptor is of; null for any other
    [[nodiscard]] const std::shared_ptr<detail::Link>& link() const noexcept { return link_; }
    /// \internal null for a descriptor
    [[nodiscard]] const std::shared_ptr<detail::Source>& source() const noexcept { return source_; }

private:
    int fd_ = -1;
    std::shared_ptr<detail::Link> link_;
    std::shared_ptr<detail::Source> source_;
};

namespace detail {
[[nodiscard]] MULTIFORK_API std::vector<std::size_t> wait_before(std::span<const Waitable> all,
                                                                 platform::Deadline deadline);
} // namespace detail

/// Waits until at least one is ready. \return the places in the list of those that are
///
/// Nothing is taken, and somebody else may take it first: use the try forms afterwards.
///
/// \throws InvalidArgument when a number is no open descriptor
/// \threads   safe
/// \crash     whoever makes it ready and dies at once has made it ready
/// \blocks    on futexes when all lie in the same shared memory; else in poll(), helped by a thread
///            (see Readiness)
[[nodiscard]] inline std::vector<std::size_t> wait(std::span<const Waitable> all) {
    return detail::wait_before(all, platform::Deadline::never());
}
[[nodiscard]] inline std::vector<std::size_t> wait(std::initializer_list<Waitable> all) {
    return wait(std::span(all.begin(), all.size()));
}
/// Waits at most `timeout`; zero or less looks once. \return nothing when time ran out
template <class Rep, class Period>
[[nodiscard]] std::vector<std::size_t> wait(std::span<const Waitable> all,
                                            const std::chrono::duration<Rep, Period>& timeout) {
    return detail::wait_before(all, platform::Deadline::after(timeout));
}
template <class Rep, class Period>
[[nodiscard]] std::vector<std::size_t> wait(std::initializer_list<Waitable> all,
                                            const std::chrono::duration<Rep, Period>& timeout) {
    return wait(std::span(all.begin(), all.size()), timeout);
}

/// A descriptor that becomes readable when a Waitable is ready, for epoll, Asio or poll().
///
/// \code
///   mp::Readiness ready{queue};
///   // when ready.fd() is readable:
///   while (auto item = queue.try_get()) use(*item);
///   ready.rearm();
/// \endcode
///
/// Nobody pays for it before it is made. What lies in shared memory is then watched by a thread of
/// this process (one for each named object or for the arena, as long as there is anything to
/// watch; it blocks all signals), which sleeps as all sleepers do: so it hears also of what a dead
/// process did last.
///
/// \threads one thread at a time
/// \fork    a child has none: it makes its own
class MULTIFORK_API Readiness {
public:
    explicit Readiness(const Waitable& what);
    ~Readiness();
    Readiness(Readiness&&) noexcept;
    Readiness& operator=(Readiness&&) noexcept;

    /// Readable from the time when it is ready until rearm(). It belongs to this object.
    [[nodiscard]] int fd() const noexcept;
    /// Call it when what was ready has been taken: the descriptor is readable again as soon as it
    /// is ready again, at once if it still is.
    void rearm();

private:
    int fd_ = -1;
    std::shared_ptr<detail::Watch> watch_;
};

} // namespace multifork
