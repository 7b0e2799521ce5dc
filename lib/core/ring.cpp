#include "core/soon.hpp"
#include "liveness/sleep.hpp"
#include "platform/futex.hpp"
#include "platform/spin.hpp"

#include <multifork/core/ring.hpp>
#include <multifork/liveness/tuning.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace multifork::core {
namespace {

/// Lingers, if that has brought batches lately. See "Lingering" in ring.hpp. Everything relaxed:
/// only speed depends on it.
class Linger {
public:
    explicit Linger(std::atomic<std::uint32_t>& haste) noexcept
        : haste_(haste), lingers_(haste.load(std::memory_order_relaxed) >= waits_before) {
        if (liveness::tuning().spins.load(std::memory_order_relaxed) == 0)
            lingers_ = false;
        for (int i = 0; lingers_ && i < pauses; ++i)
            platform::spin_pause();
    }
    /// \param batch  how many items, or how much room, the wait has brought
    void found(std::uint64_t batch) noexcept {
        if (lingers_ && batch <= 2)
            haste_.store(0, std::memory_order_relaxed);
        else if (!lingers_)
            haste_.store(haste_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }

private:
    static constexpr std::uint32_t waits_before = 64;
    static constexpr int pauses = 10; // 0.2 to 0.6 microseconds
    std::atomic<std::uint32_t>& haste_;
    bool lingers_;
};

/// The sleep of ring.hpp's head comment, on one flag. \return false when the time ran out
bool sleep_on(std::atomic<std::uint32_t>& flag, liveness::Sleep& sleep, platform::Deadline deadline,
              bool& slept) noexcept {
    const auto result = sleep.wait(deadline);
    if (result.slept) {
        slept = true;
        flag.store(1); // others may sleep behind this one; its waker has cleared the flag
    }
    if (!result.timed_out)
        return true;
    platform::futex_wake(flag, 1); // the wake-up may have come together with the timeout
    return false;
}

} // namespace

void ring_wake_flag(std::atomic<std::uint32_t>& flag) noexcept {
    if (flag.exchange(0) != 0)
        platform::futex_wake(flag, 1);
}

bool ring_wait_not_empty(RingHeader& ring, liveness::Domain& domain, platform::Deadline deadline,
                         bool& slept) {
    // relaxed: a hint; the lock is taken before anything is believed
    const std::uint64_t head = ring.head.load(std::memory_order_relaxed) >> 1;
    const auto maybe_ready = [&](std::uint64_t tail) {
        return tail >> 1 != head || (tail & ring_closed_bit) != 0;
    };
    Linger linger(ring.get_haste);
    if (changed_soon([&] { return maybe_ready(ring.tail.load(std::memory_order_relaxed)); })) {
        linger.found((ring.tail.load(std::memory_order_relaxed) >> 1) - head);
        return true;
    }

    liveness::Sleep sleep(domain);
    ring.not_empty.store(1); // before the look at tail; pairs with ring_signal()
    const std::uint64_t tail = ring.tail.load();
    if (tail >> 1 != ring.head.load() >> 1 || (tail & ring_closed_bit) != 0)
        return true;
    sleep.while_equal(ring.not_empty, 1);
    if (!MULTIFORK_MUTANT(no_value_check))
        sleep.while_equal(ring.tail, tail);
    return sleep_on(ring.not_empty, sleep, deadline, slept);
}

bool ring_wait_not_full(RingHeader& ring, const RingShape& shape, liveness::Domain& domain,
                        platform::Deadline deadline, bool& slept) {
    const auto maybe_ready = [&](std::uint64_t head, std::uint64_t tail) {
        return (tail & ring_closed_bit) != 0 || (tail >> 1) - (head >> 1) < shape.capacity;
    };
    // relaxed: a hint; the lock is taken before anything is believed
    Linger linger(ring.put_haste);
    if (changed_soon([&] {
            return maybe_ready(ring.head.load(std::memory_order_relaxed),
                               ring.tail.load(std::memory_order_relaxed));
        })) {
        linger.found(shape.capacity - ring_size(ring, shape));
        return true;
    }

    liveness::Sleep sleep(domain);
    ring.not_full.store(1); // before the look at head; pairs with ring_signal()
    const std::uint64_t head = ring.head.load();
    const std::uint64_t tail = ring.tail.load();
    if (maybe_ready(head, tail))
        return true;
    sleep.while_equal(ring.not_full, 1);
    if (!MULTIFORK_MUTANT(no_value_check))
        sleep.while_equal(ring.head, head);
    sleep.while_equal(ring.tail, tail); // changes when the queue is closed
    return sleep_on(ring.not_full, sleep, deadline, slept);
}

void ring_corrupt(const RingHeader& ring, const RingShape& shape) {
    throw CorruptSharedMemory(
        fmt::format("a queue of {} slots says that {} items were put and {} taken: its memory was "
                    "overwritten; make a "
                    "new queue, and look for a process that writes where it should not",
                    shape.capacity, ring.tail.load() >> 1, ring.head.load() >> 1));
}

void ring_close(RingHeader& ring, liveness::Domain& domain) {
    // No repair of payloads here: it needs the allocator. The next put or get that inherits does
    // not see a death that this one has swallowed, so poison the lock instead and let the next
    // locker repair.
    const liveness::ThreadWord me = liveness::enter(domain);
    const Acquired got =
        lock(ring.producers, domain, me, platform::Deadline::never(), OnDeath::inherit);
    const std::uint64_t tail = ring.tail.load(std::memory_order_relaxed); // own lock
    ring.tail.store(tail | ring_closed_bit);                              // COMMIT
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (got == Acquired::inherited)
        poison(ring.producers);
    else
        unlock(ring.producers);
    // Without a look at the flags: one is clear as long as a sleeper has been woken by a put and
    // has not run yet, and that one, having taken the last item, would wake nobody behind it.
    for (auto* flag : {&ring.not_empty, &ring.not_full}) {
        flag->store(0);
        platform::futex_wake(*flag, platform::wake_everybody);
    }
}

bool ring_is_closed(const RingHeader& ring) noexcept {
    return (ring.tail.load() & ring_closed_bit) != 0;
}

std::uint64_t ring_size(const RingHeader& ring, const RingShape& shape) noexcept {
    const std::uint64_t head = ring.head.load() >> 1;
    const std::uint64_t tail = ring.tail.load() >> 1;
    return tail > head ? std::min(tail - head, shape.capacity) : 0;
}

} // namespace multifork::core
