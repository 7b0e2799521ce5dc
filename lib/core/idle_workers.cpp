#include "core/idle_workers.hpp"

#include "platform/futex.hpp"

#include <multifork/platform/mutant.hpp>

#include <sched.h>

namespace multifork::core {
namespace {

/// What `lies_on` says of a core.
std::uint32_t word_of(int core) noexcept {
    return static_cast<std::uint32_t>(core) + 1;
}

cpu_set_t where_others_lie(const TaskTable& table, std::uint32_t seat) noexcept {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (std::uint32_t other = 0; other < table.shape.seats; ++other)
        if (const std::uint32_t word = table.seat(other).lies_on.load(); other != seat && word != 0)
            CPU_SET(word - 1, &cores); // which ignores what is out of range
    return cores;
}

/// \return one of `cores` that is not `taken`, the next after `here`, which is likely to be near;
/// or `here`
int free_core(const cpu_set_t& cores, const cpu_set_t& taken, int here) noexcept {
    for (int i = 1; i < CPU_SETSIZE; ++i) {
        const int core = (here + i) % CPU_SETSIZE;
        if (CPU_ISSET(core, &cores) && !CPU_ISSET(core, &taken))
            return core;
    }
    return here;
}

/// The calling thread goes over to a core where nobody else lies, if there is one.
/// \return where it is then
int find_a_place(const TaskTable& table, std::uint32_t seat) noexcept {
    const int here = ::sched_getcpu();
    const cpu_set_t taken = where_others_lie(table, seat);
    if (!CPU_ISSET(here, &taken))
        return here;
    cpu_set_t cores;
    // Beyond 1,024 cores this fails. Where there are more of them than workers, some are idle, and
    // the scheduler finds those by itself.
    if (::sched_getaffinity(0, sizeof cores, &cores) != 0)
        return here;
    const int count = CPU_COUNT(&cores);
    if (count < 2 || static_cast<std::uint32_t>(count) > table.shape.seats)
        return here;
    const int there = free_core(cores, taken, here);
    if (there == here)
        return here;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(there, &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0)
        return here; // a filter of system calls
    ::sched_setaffinity(0, sizeof cores, &cores);
    return there;
}

/// Wakes up to `count` that lie on the caller's core, or on others.
/// \return how many slept
std::uint32_t wake_those(const TaskTable& table, std::uint32_t count, bool on_own_core) noexcept {
    const std::uint32_t own = word_of(::sched_getcpu());
    std::uint32_t woken = 0;
    for (std::uint32_t seat = 0; seat < table.shape.seats && woken < count; ++seat) {
        std::atomic<std::uint32_t>& word = table.seat(seat).lies_on;
        std::uint32_t seen = word.load();
        if (seen == 0 || (seen == own) != on_own_core || !word.compare_exchange_strong(seen, 0))
            continue;
        const auto slept = static_cast<std::uint32_t>(platform::futex_wake(word, 1));
        woken += MULTIFORK_MUTANT(wake_the_dead) ? 1 : slept;
    }
    return woken;
}

} // namespace

LyingDown::LyingDown(const TaskTable& table, std::uint32_t seat) noexcept
    : word_(table.seat(seat).lies_on), value_(word_of(find_a_place(table, seat))) {
    word_.store(value_);
}

/// The flag stays up as long as there are sleepers to be woken: the parent is to wake a second one
/// for its second task. If the first one, who runs by then, had to do it, the scheduler would often
/// put both on one core, one behind the other, and leave the parent's to nobody.
void wake_workers(const TaskTable& table, std::uint32_t count) noexcept {
    std::atomic<std::uint32_t>& idle = table.header->idle;
    if (idle.load() == nobody_sleeps)
        return;
    for (const bool on_own_core : {false, true})
        count -= wake_those(table, count, on_own_core);
    if (count == 0)
        return;
    // Who has no word, or sleeps where the kernel wakes by the first word alone.
    idle.store(others_may_sleep);
    if (static_cast<std::uint32_t>(platform::futex_wake(idle, static_cast<int>(count))) >= count)
        return;
    // No more are asleep. Who was about to, has not slept on this value, and looks again.
    std::uint32_t seen = others_may_sleep;
    idle.compare_exchange_strong(seen, nobody_sleeps);
}

} // namespace multifork::core
