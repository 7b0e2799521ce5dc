#include <multifork/channel/waitable.hpp>

#include "channel/link.hpp"
#include "channel/lookout.hpp"
#include "core/ring_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace multifork {
namespace detail {
namespace {

constexpr std::size_t most_at_once = 30; // a sleeper can name 128 words
constexpr std::int64_t look_again_ns = 10'000'000;

class RingSource final : public Source {
public:
    RingSource(core::RingHeader& ring, const core::RingShape& shape, arena::Object object)
        : ring_(ring), shape_(shape), object_(std::move(object)) {}
    liveness::Domain& domain() const noexcept override { return object_.space().domain(); }
    core::RingHeader& ring() const noexcept override { return ring_; }
    bool ready() override {
        return core::ring_size(ring_, shape_) > 0 || core::ring_is_closed(ring_);
    }
    bool arm(liveness::Sleep& sleep) override { return core::ring_arm_not_empty(ring_, sleep); }

private:
    core::RingHeader& ring_;
    core::RingShape shape_;
    arena::Object object_;
};

using Places = std::vector<std::size_t>;

/// \return the places of descriptors that are ready now, or when `until` has come
class Poll {
public:
    void add(int fd, std::size_t place) {
        entries_.push_back({fd, POLLIN, 0});
        places_.push_back(place);
    }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    Places wait(platform::Deadline deadline) {
        if (platform::poll_until(entries_, deadline.ns()) < 0)
            platform::throw_errno("waiting for several descriptors");
        return found();
    }

private:
    [[nodiscard]] Places found() const {
        Places ready;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if ((entries_[i].revents & POLLNVAL) != 0)
                throw InvalidArgument(fmt::format("{} is no open descriptor; keep it open as long "
                                                  "as somebody waits for it",
                                                  entries_[i].fd));
            if (entries_[i].revents != 0)
                ready.push_back(places_[i]);
        }
        return ready;
    }
    std::vector<pollfd> entries_;
    Places places_;
};

/// Whoever has slept at several rings passes the wake-ups on, however it leaves.
class Debts {
public:
    explicit Debts(std::span<const Waitable> all) noexcept : all_(all) {}
    ~Debts() {
        for (const Waitable& one : all_)
            if (slept_ && !MULTIFORK_MUTANT(keep_wake_up))
                one.source()->pass_on();
    }
    Debts(const Debts&) = delete;
    Debts& operator=(const Debts&) = delete;
    void slept() {
        slept_ = true;
        for (const Waitable& one : all_)
            one.source()->slept();
    }

private:
    std::span<const Waitable> all_;
    bool slept_ = false;
};

void hold_all(std::span<const Waitable> all, HeldSources& held) {
    for (const Waitable& one : all)
        if (one.source() != nullptr && !held.hold(one.source()))
            throw ConnectionClosed("wait() for a connection that was closed in this process");
}

/// All lie in one space.
Places wait_in_space(std::span<const Waitable> all, platform::Deadline deadline) {
    liveness::Domain& domain = all.front().source()->domain();
    static_cast<void>(liveness::enter(domain));
    HeldSources held;
    hold_all(all, held);
    Debts debts(all);
    for (;;) {
        Places ready;
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i].source()->ready())
                ready.push_back(i);
        if (!ready.empty() || deadline.passed())
            return ready;
        liveness::Sleep sleep(domain);
        const std::size_t named = std::min(all.size(), most_at_once);
        bool tick = named < all.size();
        bool asleep = true;
        for (std::size_t i = 0; i < named; ++i)
            asleep = all[i].source()->arm(sleep) && asleep;
        for (std::size_t i = 0; i < named; ++i)
            asleep = all[i].source()->arm_peers(sleep, tick) && asleep;
        if (!asleep)
            continue;
        auto until = deadline;
        if (tick || sleep.full()) {
            const auto soon = platform::Deadline::after(std::chrono::nanoseconds(look_again_ns));
            until = soon.ns() < deadline.ns() ? soon : deadline;
        }
        if (sleep.wait(until).slept)
            debts.slept();
    }
}

/// Descriptors are among them, or objects of several spaces: all become descriptors.
Places wait_by_descriptors(std::span<const Waitable> all, platform::Deadline deadline) {
    HeldSources held;
    hold_all(all, held);
    Places ready;
    std::vector<Link::Held> sockets;
    Poll outside;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].link() != nullptr) {
            const Link::Held& socket = sockets.emplace_back(all[i].link()->hold());
            outside.add(socket.socket, i);
            outside.add(socket.closed, i);
        } else if (all[i].source() == nullptr) {
            outside.add(all[i].descriptor(), i);
        } else if (all[i].source()->ready()) {
            ready.push_back(i);
        }
    }
    const auto add_outside = [&] {
        for (const std::size_t place : outside.wait(platform::Deadline::poll()))
            ready.push_back(place);
        std::sort(ready.begin(), ready.end());
        ready.erase(std::unique(ready.begin(), ready.end()), ready.end());
    };
    add_outside();
    if (!ready.empty() || deadline.passed())
        return ready;

    std::vector<Readiness> watched;
    Poll everything = outside;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].source() != nullptr) {
            watched.emplace_back(all[i]);
            everything.add(watched.back().fd(), i);
        }
    for (;;) {
        static_cast<void>(everything.wait(deadline));
        // Somebody else may have taken what had come.
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i].source() != nullptr && all[i].source()->ready())
                ready.push_back(i);
        add_outside();
        if (!ready.empty() || deadline.passed())
            return ready;
        for (Readiness& one : watched)
            one.rearm();
    }
}

} // namespace

std::shared_ptr<Source> source_of_ring(core::RingHeader& ring, const core::RingShape& shape,
                                       const arena::Object& object) {
    return std::make_shared<RingSource>(ring, shape, object);
}

std::vector<std::size_t> wait_before(std::span<const Waitable> all, platform::Deadline deadline) {
    if (all.empty()) { // Python returns at once, too, when it has nothing to wait for
        return {};
    }
    const auto in_space = [](const Waitable& one) { return one.source() != nullptr; };
    const bool one_space = std::all_of(all.begin(), all.end(), in_space) &&
                           std::all_of(all.begin(), all.end(), [&](const Waitable& one) {
                               return &one.source()->domain() == &all.front().source()->domain();
                           });
    return one_space ? wait_in_space(all, deadline) : wait_by_descriptors(all, deadline);
}

} // namespace detail

Waitable::Waitable(int fd) : fd_(fd) {
    if (fd < 0)
        throw InvalidArgument(fmt::format("{} is no descriptor", fd));
}

Waitable::Waitable(const AnyConnection& connection) : source_(connection.link().source()) {
    if (source_ != nullptr)
        return;
    fd_ = connection.link().descriptor();
    link_ = connection.shared_link();
}

Readiness::Readiness(const Waitable& what) : fd_(what.descriptor()) {
    if (what.source() == nullptr)
        return; // it has one
    watch_ = detail::watch(what.source());
    fd_ = watch_->event.get();
}
Readiness::~Readiness() {
    if (watch_)
        detail::unwatch(watch_);
}
Readiness::Readiness(Readiness&&) noexcept = default;
Readiness& Readiness::operator=(Readiness&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(watch_, other.watch_);
    return *this;
}

int Readiness::fd() const noexcept {
    return fd_;
}
void Readiness::rearm() {
    if (watch_)
        detail::rearm(watch_);
}

} // namespace multifork
