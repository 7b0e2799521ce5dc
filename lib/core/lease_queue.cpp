#include "core/lease_lists.hpp"
#include "liveness/registry.hpp"
#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/core/lease_queue.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace multifork::core {
namespace {

using namespace leases;

// How many leases a get looks at when it has something to give out anyway.
constexpr std::uint32_t look_at = 8;

/// Holds the queue's lock.
class Held {
public:
    Held(const LeaseQueue& queue, platform::Deadline deadline) : cell_(queue.header.lock) {
        const Acquired got =
            lock_inside(cell_, queue.domain, liveness::enter(queue.domain), deadline);
        held_ = got == Acquired::clean || got == Acquired::inherited;
        if (got == Acquired::inherited && !MULTIFORK_MUTANT(no_lease_rebuild))
            Lists(queue).rebuild();
    }
    struct Adopt {};
    /// Goes on holding what keep() has kept.
    Held(const LeaseQueue& queue, Adopt) noexcept : cell_(queue.header.lock), held_(true) {}
    ~Held() { release(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    [[nodiscard]] explicit operator bool() const noexcept { return held_; }
    void release() noexcept {
        if (held_)
            unlock(cell_);
        held_ = false;
    }
    /// The lock stays taken.
    void keep() noexcept { held_ = false; }

private:
    LockCell& cell_;
    bool held_ = false;
};

/// After unlock(), whose exchange orders the commit before this load; pairs with the sleeper's
/// store of the flag.
void signal(std::atomic<std::uint32_t>& flag) noexcept {
    if (flag.load() != 0 && flag.exchange(0) != 0)
        platform::futex_wake(flag, 1);
}
void wake_all(std::atomic<std::uint32_t>& flag) noexcept {
    flag.store(0);
    platform::futex_wake(flag, platform::wake_everybody);
}

/// A wake-up that was spent on this thread is passed on, unless the thread did what it was for.
struct Debt {
    explicit Debt(std::atomic<std::uint32_t>& of) noexcept : flag(of) {}
    ~Debt() {
        if (slept)
            signal(flag);
    }
    Debt(const Debt&) = delete;
    Debt& operator=(const Debt&) = delete;
    std::atomic<std::uint32_t>& flag;
    bool slept = false;
};

void bump(LeaseHeader& h) noexcept {
    h.changes.store(h.changes.load(relaxed) + 1, relaxed);
    compiler_barrier();
}

void name_words(liveness::Sleep& sleep, LeaseHeader& h, std::atomic<std::uint32_t>& flag) noexcept {
    flag.store(1);
    sleep.while_equal(flag, 1);
    sleep.while_equal(h.changes, h.changes.load(relaxed));
}

/// \return false when the time ran out
bool wait_on(liveness::Sleep& sleep, std::atomic<std::uint32_t>& flag, platform::Deadline deadline,
             Debt& debt) noexcept {
    const auto result = sleep.wait(deadline);
    if (result.slept) {
        debt.slept = true;
        flag.store(1); // others may sleep behind this one; its waker has cleared the flag
    }
    if (!result.timed_out)
        return true;
    platform::futex_wake(flag, 1); // the wake-up may have come together with the timeout
    return false;
}

/// The leased slot, or nullptr when that lease has ended.
LeaseSlot* find(const LeaseQueue& queue, const LeaseToken& token) {
    if (token.slot >= queue.shape.slots)
        corrupt(queue);
    LeaseSlot& slot = slot_at(queue, token.slot);
    const bool same = slot.state.load(relaxed) == token.owner && slot.position == token.position &&
                      slot.lease_tries == token.tries;
    return same ? &slot : nullptr;
}

bool others_hold_leases(const LeaseQueue& queue, const Lists& lists, ThreadWord me) {
    for (std::uint32_t n = 0; n < lists.leased_count(); ++n)
        if (slot_at(queue, lists.leased(n)).state.load(relaxed) != me)
            return true;
    return false;
}

} // namespace

// ---- put
// ----------------------------------------------------------------------------------------------

LeaseResult lease_put_begin(const LeaseQueue& queue, platform::Deadline deadline,
                            LeaseSlot*& slot) {
    LeaseHeader& h = queue.header;
    Debt debt(h.not_full);
    for (;;) {
        Held held(queue, deadline);
        if (!held)
            return LeaseResult::timed_out;
        if (h.closed.load(relaxed) != 0)
            return LeaseResult::closed;
        const Lists lists(queue);
        if (lists.has_room()) {
            slot = &slot_at(queue, lists.take_free());
            slot->position = h.next_position;
            slot->tries = 0;
            debt.slept = false; // lease_put_commit() looks whether there is room for another
            held.keep();
            return LeaseResult::done;
        }
        if (deadline.is_poll())
            return LeaseResult::timed_out;
        liveness::Sleep sleep(queue.domain);
        name_words(sleep, h, h.not_full);
        held.release();
        if (!wait_on(sleep, h.not_full, deadline, debt))
            return LeaseResult::timed_out;
    }
}

void lease_put_commit(const LeaseQueue& queue, LeaseSlot& slot) {
    LeaseHeader& h = queue.header;
    Held held(queue, Held::Adopt{});
    const Lists lists(queue);
    bump(h);
    slot.state.store(lease_queued, relaxed); // COMMIT
    compiler_barrier();
    ++h.next_position;
    lists.drop_free();
    const auto from = reinterpret_cast<std::byte*>(&slot) - reinterpret_cast<std::byte*>(&h) -
                      static_cast<std::ptrdiff_t>(queue.shape.slots_offset());
    lists.enqueue(
        static_cast<std::uint32_t>(static_cast<std::uint64_t>(from) / queue.shape.slot_bytes()));
    const bool more_room = lists.has_room();
    held.release();
    signal(h.not_empty);
    if (more_room)
        signal(h.not_full);
}

void lease_put_cancel(const LeaseQueue& queue) noexcept {
    unlock(queue.header.lock);
    signal(queue.header.not_full); // the room is still there
}

// ---- get
// ----------------------------------------------------------------------------------------------

LeaseResult lease_get(const LeaseQueue& queue, platform::Deadline deadline, LeaseToken& token) {
    LeaseHeader& h = queue.header;
    Debt debt(h.not_empty);
    for (;;) {
        Held held(queue, deadline);
        if (!held)
            return LeaseResult::timed_out;
        const ThreadWord me = liveness::enter(queue.domain);
        const Lists lists(queue);
        lists.redeliver(h.order_count == 0 ? queue.shape.slots : look_at);
        if (h.order_count > 0) {
            const std::uint32_t index = lists.oldest();
            LeaseSlot& slot = slot_at(queue, index);
            liveness::count_holding(queue.domain, me, +1);
            slot.lease_tries = slot.tries + 1;
            token = {index, slot.lease_tries, slot.position, me};
            bump(h);
            slot.state.store(me, relaxed); // COMMIT
            compiler_barrier();
            lists.pop_oldest();
            lists.push_leased(index);
            const bool more = h.order_count > 0;
            const bool room = lists.has_room();
            held.release();
            debt.slept = false;
            if (more)
                signal(h.not_empty);
            if (room)
                signal(h.not_full);
            return LeaseResult::done;
        }
        if (h.closed.load(relaxed) != 0 && !others_hold_leases(queue, lists, me))
            return LeaseResult::closed;
        if (deadline.is_poll())
            return LeaseResult::timed_out;
        liveness::Sleep sleep(queue.domain);
        name_words(sleep, h, h.not_empty);
        bool somebody_died = false;
        for (std::uint32_t n = 0; n < lists.leased_count(); ++n) {
            const ThreadWord state = slot_at(queue, lists.leased(n)).state.load(relaxed);
            if (is_leased(state) && state != me && !sleep.while_alive(state))
                somebody_died = !MULTIFORK_MUTANT(no_redelivery);
        }
        held.release();
        if (somebody_died)
            continue;
        if (!wait_on(sleep, h.not_empty, deadline, debt))
            return LeaseResult::timed_out;
    }
}

std::byte* lease_payload(const LeaseQueue& queue, const LeaseToken& token) {
    LeaseSlot* const slot = find(queue, token);
    if (slot == nullptr)
        corrupt(queue);
    return slot->payload();
}

// ---- the end of a lease
// -------------------------------------------------------------------------------

bool lease_task_done(const LeaseQueue& queue, const LeaseToken& token) {
    LeaseHeader& h = queue.header;
    Held held(queue, platform::Deadline::never());
    if (!held)
        std::abort(); // waits for ever
    LeaseSlot* const slot = find(queue, token);
    if (slot == nullptr)
        return false;
    const Lists lists(queue);
    if (MULTIFORK_MUTANT(free_before_done))
        queue.payload.drop(slot->payload(), slot->position);
    bump(h);
    slot->state.store(nobody, relaxed); // COMMIT
    compiler_barrier();
    // Only now: the item might have been redelivered, and then must be whole.
    queue.payload.drop(slot->payload(), slot->position);
    lists.push_free(token.slot);
    lists.drop_leased(token.slot);
    const bool last = lists.all_done();
    if (last)
        ++h.drained;
    const bool closed = h.closed.load(relaxed) != 0;
    const bool room = lists.has_room();
    held.release();
    if (const ThreadWord me = liveness::enter(queue.domain); me == token.owner)
        liveness::count_holding(queue.domain, me, -1);
    if (room)
        signal(h.not_full);
    if (last)
        wake_all(h.all_done);
    if (closed)
        wake_all(h.not_empty); // for some of them it may be the end
    return true;
}

bool lease_give_back(const LeaseQueue& queue, const LeaseToken& token) {
    LeaseHeader& h = queue.header;
    Held held(queue, platform::Deadline::never());
    if (!held)
        std::abort(); // waits for ever
    if (find(queue, token) == nullptr)
        return false;
    Lists(queue).queue_again(token.slot);
    held.release();
    if (const ThreadWord me = liveness::enter(queue.domain); me == token.owner)
        liveness::count_holding(queue.domain, me, -1);
    signal(h.not_empty);
    return true;
}

// ---- all of it
// ----------------------------------------------------------------------------------------

bool lease_join(const LeaseQueue& queue, platform::Deadline deadline) {
    LeaseHeader& h = queue.header;
    std::optional<std::uint32_t> drained;
    for (;;) {
        Held held(queue, deadline);
        if (!held)
            return false;
        if (Lists(queue).all_done() || (drained && *drained != h.drained))
            return true;
        drained = h.drained;
        if (deadline.is_poll())
            return false;
        liveness::Sleep sleep(queue.domain);
        name_words(sleep, h, h.all_done);
        held.release();
        if (sleep.wait(deadline).timed_out)
            deadline = platform::Deadline::poll(); // one last look
    }
}

void lease_close(const LeaseQueue& queue) {
    LeaseHeader& h = queue.header;
    {
        Held held(queue, platform::Deadline::never());
        if (!held)
            std::abort(); // waits for ever
        bump(h);
        h.closed.store(1, relaxed); // COMMIT
        compiler_barrier();
    }
    wake_all(h.not_empty);
    wake_all(h.not_full);
}

LeaseCounts lease_counts(const LeaseQueue& queue) noexcept {
    LeaseCounts counts;
    for (std::uint32_t i = 0; i < used(queue); ++i) {
        const ThreadWord state = slot_at(queue, i).state.load(std::memory_order_acquire);
        if (state == lease_queued || (is_leased(state) && !liveness::is_alive(queue.domain, state)))
            ++counts.queued;
        else if (state != nobody)
            ++counts.leased;
    }
    return counts;
}

} // namespace multifork::core
