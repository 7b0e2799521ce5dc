#include "channel/pipe_link.hpp"

#include "channel/passed_descriptors.hpp"
#include "core/ring_arm.hpp"
#include "platform/fd_passing.hpp"

#include <multifork/channel/pipe.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

// Waiting at a pipe: for a message or for room, and for the end of those at the other end.
//
// A sleeper names the ring's words, the number of ends given up, and one thread of each process
// that holds the other end. It looks at the ledger after it has noted that number. Whoever gives an
// end up in order changes the entry, then the number, then wakes; whoever is killed, at whatever
// instruction, has a beacon that the kernel marks and wakes. Processes that have no thread with a
// beacon (a child between fork() and its first instruction) are looked at every 10 ms.

namespace multifork::detail {
namespace {

using arena::PipeEnd;
using core::PipeRole;

constexpr std::int64_t look_again_ns = 10'000'000;

enum class Next : std::uint8_t { again, timed_out, deserted };

platform::Deadline soon(platform::Deadline deadline, bool unwatched) {
    if (!unwatched)
        return deadline;
    const auto tick = platform::Deadline::after(std::chrono::nanoseconds(look_again_ns));
    return tick.ns() < deadline.ns() ? tick : deadline;
}

bool nobody_there(const PipeEnd& end) {
    return end.peers(nullptr).living == 0 && end.deserted();
}

/// Sleeps at the pipe once. The other end is held by somebody, as far as the caller knows.
/// \param slept  set when a wake-up of the ring may have been spent on this thread
Next sleep_at(PipeEnd& end, platform::Deadline deadline, bool& slept) {
    const bool reads = end.role() == PipeRole::reader;
    core::RingHeader& ring = end.ring();
    liveness::Sleep sleep(end.object().space().domain());
    const std::uint32_t changes = end.cell().changes.load();
    const bool armed = reads ? core::ring_arm_not_empty(ring, sleep)
                             : core::ring_arm_not_full(ring, end.shape(), sleep);
    if (!armed || end.closed())
        return Next::again;
    if (!MULTIFORK_MUTANT(unseen_change))
        sleep.while_equal(end.cell().changes, changes);
    const auto holders = end.peers(&sleep);
    if (holders.living == 0)
        return Next::again;
    const auto result = sleep.wait(soon(deadline, holders.unwatched));
    if (result.slept) {
        slept = true;
        (reads ? ring.not_empty : ring.not_full).store(1); // others may sleep behind this one
    }
    return deadline.passed() ? Next::timed_out : Next::again;
}

/// Waits until there may be a message.
Next await_message(PipeEnd& end, platform::Deadline deadline, bool& slept) {
    if (nobody_there(end)) // in this order: nobody can put anything any more
        return core::ring_size(end.ring(), end.shape()) > 0 ? Next::again : Next::deserted;
    if (deadline.passed())
        return Next::timed_out;
    if (core::ring_item_soon(end.ring(), end.shape()))
        return Next::again;
    return sleep_at(end, deadline, slept);
}

[[noreturn]] void throw_closed_by_another() {
    throw ConnectionClosed(
        "this end of the connection was closed by another thread, which ends what waits here");
}
void throw_if_closed(const PipeEnd& end) {
    if (end.closed())
        throw_closed_by_another();
}

} // namespace

PipeLink::PipeLink(std::shared_ptr<PipeEnd> in, std::shared_ptr<PipeEnd> out,
                   platform::Descriptor descriptors)
    : in_(std::move(in)), out_(std::move(out)), has_descriptors_(bool(descriptors)) {
    if (!has_descriptors_)
        return;
    platform::Descriptor wake = HeldSocket::make_wake();
    if (!wake)
        platform::throw_errno("making a connection");
    descriptors_.open(std::move(descriptors), std::move(wake));
}

PipeEnd& PipeLink::reading(const char* verb) const {
    if (in_ == nullptr)
        throw_direction(verb, "only sends");
    return *in_;
}
PipeEnd& PipeLink::writing(const char* verb) const {
    if (out_ == nullptr)
        throw_direction(verb, "only receives");
    return *out_;
}

bool PipeLink::send(const Outgoing& message, platform::Deadline deadline) {
    PipeEnd& end = writing("send()");
    const PipeEnd::Use use(end);
    core::WakeDebt debt(end.ring().not_full);
    for (;;) {
        throw_if_closed(end);
        if (nobody_there(end))
            throw BrokenPipe("send() to a connection whose other end nobody holds any more: all "
                             "that had it closed it, or have ended");
        if (core::ring_size(end.ring(), end.shape()) < end.shape().capacity &&
            message_put(end.ring(), end.shape(), end.object(), deadline, message,
                        core::RingWait::by_caller) == core::RingResult::done) {
            if (core::ring_size(end.ring(), end.shape()) >= end.shape().capacity)
                debt.slept = false; // no room for another
            return true;
        }
        if (deadline.passed())
            return false;
        if (core::ring_room_soon(end.ring(), end.shape()))
            continue;
        static_cast<void>(sleep_at(end, deadline, debt.slept));
    }
}

Link::Outcome PipeLink::receive(Received& into, platform::Deadline deadline, std::size_t most) {
    PipeEnd& end = reading("recv()");
    const PipeEnd::Use use(end);
    core::WakeDebt debt(end.ring().not_empty);
    for (;;) {
        throw_if_closed(end);
        if (message_get(end.ring(), end.shape(), end.object(), deadline, into.message,
                        core::RingWait::by_caller)) {
            if (core::ring_size(end.ring(), end.shape()) == 0)
                debt.slept = false; // nothing for another
            if (into.message.bytes().size() <= most)
                return Outcome::done;
            end.close();
            throw Error(std::errc::message_size,
                        fmt::format("a message of {} bytes came, and at most {} were expected; "
                                    "nothing is received here any more",
                                    into.message.bytes().size(), most));
        }
        switch (await_message(end, deadline, debt.slept)) {
        case Next::deserted:
            return Outcome::ended;
        case Next::timed_out:
            // What came at the last moment counts.
            if (deadline.is_poll() || core::ring_size(end.ring(), end.shape()) == 0)
                return Outcome::timed_out;
            deadline = platform::Deadline::poll();
            break;
        case Next::again:
            break;
        }
    }
}

Link::Outcome PipeLink::poll(platform::Deadline deadline) {
    PipeEnd& end = reading("poll()");
    const PipeEnd::Use use(end);
    core::WakeDebt debt(end.ring().not_empty); // never settled: it takes nothing
    for (;;) {
        throw_if_closed(end);
        if (core::ring_size(end.ring(), end.shape()) > 0)
            return Outcome::done;
        switch (await_message(end, deadline, debt.slept)) {
        case Next::deserted:
            return Outcome::ended;
        case Next::timed_out:
            return core::ring_size(end.ring(), end.shape()) > 0 ? Outcome::done
                                                                : Outcome::timed_out;
        case Next::again:
            break;
        }
    }
}

void PipeLink::close() noexcept {
    if (in_)
        in_->close();
    if (out_)
        out_->close();
    descriptors_.close();
}

bool PipeLink::closed() const noexcept {
    return (!in_ || in_->closed()) && (!out_ || out_->closed());
}

std::string PipeLink::describe() const {
    const char* const can = !out_ ? "to receive" : !in_ ? "to send" : "to receive and send";
    return fmt::format("<Connection {}, {}>", can, closed() ? "closed" : "open");
}

namespace {

/// A pipe as one of several things that somebody waits for.
class PipeSource final : public Source {
public:
    explicit PipeSource(std::shared_ptr<PipeEnd> end) noexcept : end_(std::move(end)) {}
    liveness::Domain& domain() const noexcept override { return end_->object().space().domain(); }
    core::RingHeader& ring() const noexcept override { return end_->ring(); }
    bool begin() noexcept override { return end_->begin_use(); }
    void end() noexcept override { end_->end_use(); }
    bool ready() override {
        return core::ring_size(end_->ring(), end_->shape()) > 0 || end_->closed() ||
               nobody_there(*end_);
    }
    bool arm(liveness::Sleep& sleep) override {
        const std::uint32_t changes = end_->cell().changes.load();
        if (!core::ring_arm_not_empty(end_->ring(), sleep) || end_->closed())
            return false;
        sleep.while_equal(end_->cell().changes, changes);
        return true;
    }
    bool arm_peers(liveness::Sleep& sleep, bool& unwatched) override {
        const auto holders = end_->peers(&sleep);
        unwatched = unwatched || holders.unwatched;
        return holders.living > 0;
    }

private:
    std::shared_ptr<PipeEnd> end_;
};

} // namespace

std::shared_ptr<Source> PipeLink::source() {
    PipeEnd& end = reading("wait()");
    const PipeEnd::Use use(end);
    return std::make_shared<PipeSource>(in_);
}

// ---- descriptors beside the messages: a pair of Unix sockets, which the kernel keeps whole
// -------------------------------------------------------------------------------------------------

std::shared_ptr<HeldSocket::Own> PipeLink::descriptors() {
    if (!has_descriptors_)
        return nullptr;
    auto own = descriptors_.use();
    if (!own)
        throw ConnectionClosed("this end of the connection was closed in this process");
    return own;
}

bool PipeLink::await(const HeldSocket::Own& own, short what, platform::Deadline deadline) const {
    const bool ready = HeldSocket::await(own, what, deadline);
    if (descriptors_.closed())
        throw_closed_by_another();
    return ready;
}

void PipeLink::send_fd(int fd) {
    const auto own = descriptors();
    if (!own)
        return Link::send_fd(fd);
    static_cast<void>(writing("send_fd()"));
    for (;;) {
        const int error = platform::send_descriptor(own->socket.get(), fd);
        if (error == 0)
            return;
        if (error == EPIPE || error == ECONNRESET || error == ENOTCONN)
            throw BrokenPipe("send_fd() to a connection whose other end nobody holds any more");
        if (error != EAGAIN) {
            errno = error;
            platform::throw_errno(fmt::format("sending descriptor {}", fd));
        }
        await(*own, POLLOUT, platform::Deadline::never());
    }
}

Link::Outcome PipeLink::receive_fd(int& fd, platform::Deadline deadline) {
    const auto own = descriptors();
    if (!own)
        return Link::receive_fd(fd, deadline);
    static_cast<void>(reading("recv_fd()"));
    return await_descriptor(own->socket.get(), fd, [&] { return await(*own, POLLIN, deadline); });
}

// ---- connections that travel
// ----------------------------------------------------------------------------------

namespace {

constexpr std::uint32_t no_descriptor = ~std::uint32_t{0};

struct References {
    std::array<PipeEnd::Reference, 2> ends{}; // role 0: no such end
    std::uint32_t descriptor = no_descriptor; // PassedDescriptors: the socket for descriptors
    std::uint32_t reserved = 0;
};

bool read(const std::string& text, References& references) noexcept {
    if (text.size() != sizeof references)
        return false;
    std::memcpy(&references, text.data(), sizeof references);
    return true;
}

void cancel_ends(const References& references) noexcept {
    for (const PipeEnd::Reference& reference : references.ends)
        if (reference.role != 0)
            PipeEnd::cancel(reference);
}

} // namespace

std::string PipeLink::depart() {
    References references;
    if (const auto own = descriptors())
        references.descriptor = PassedDescriptors::add(own->socket.get());
    try {
        if (in_)
            references.ends[0] = in_->send_copy();
        if (out_)
            references.ends[1] = out_->send_copy();
    } catch (...) {
        cancel_ends(references);
        throw;
    }
    return {reinterpret_cast<const char*>(&references), sizeof references};
}

std::shared_ptr<PipeLink> PipeLink::arrive(const std::string& text) {
    References references;
    if (!read(text, references))
        throw CorruptSharedMemory("a message that should bring a Connection brings garbage; both "
                                  "sides must send and receive the same type");
    platform::Descriptor socket;
    if (references.descriptor != no_descriptor)
        socket = take_arrived(references.descriptor);
    std::array<std::shared_ptr<PipeEnd>, 2> ends;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        if (references.ends[i].role == 0)
            continue;
        ends[i] = PipeEnd::receive(references.ends[i]);
        if (!ends[i])
            throw NotFound("a connection came in a message whose sender has ended since, or that "
                           "another process has read before, and with it the connection is gone; "
                           "let the sender wait until it has arrived");
    }
    return std::make_shared<PipeLink>(std::move(ends[0]), std::move(ends[1]), std::move(socket));
}

void PipeLink::cancel(const std::string& text) noexcept {
    if (References references; read(text, references))
        cancel_ends(references);
}

std::pair<AnyConnection, AnyConnection> make_pipe(const PipeOptions& options) {
    auto there = PipeEnd::make(options.capacity);
    PipeEnd::Both back;
    if (options.duplex)
        back = PipeEnd::make(options.capacity);
    platform::Descriptor one;
    platform::Descriptor two;
    if (options.descriptors) {
        std::array<int, 2> pair{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
            platform::throw_errno("making the sockets for a pipe's descriptors");
        one = platform::Descriptor(pair[0]);
        two = platform::Descriptor(pair[1]);
    }
    return {AnyConnection(std::make_shared<PipeLink>(std::move(there.reader),
                                                     std::move(back.writer), std::move(one))),
            AnyConnection(std::make_shared<PipeLink>(std::move(back.reader),
                                                     std::move(there.writer), std::move(two)))};
}

} // namespace multifork::detail
