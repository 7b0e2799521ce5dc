#pragma once

#include <multifork/core/ring.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

// A one-way pipe: a ledger of who holds its two ends, and a ring of messages behind it.
//
//   offset 0     changes   + 1 after an end was given up; sleepers name it    who gave it up
//          4     used      entries from here on were never used               under the heap's lock
//          64    entries   248 words                                          under the heap's lock
//          2048  RingHeader, slots: see core/ring.hpp
//
//   entry = serial << 32 | record << 8 | end     0: free
//
// An entry says that a process holds an end: its record in the arena's table of processes, the
// serial that the process has there (a serial never comes back), and which end. One store of an
// entry takes an end or gives it up: each is a COMMIT. The entry of a process that is gone means
// nothing, whoever finds it, so nothing has to be cleared away after a death.
//
// An end is taken by who makes the pipe; by a parent, just before the fork, for the child that it
// will have (so that there is no moment at which a child runs that nobody counts); and by who got
// it in a message, by overwriting the entry that the sender made for the journey. So an end that
// somebody holds has an entry at every moment. A look at the entries without the lock may
// still miss one that moves meanwhile: that nobody holds an end is believed only under the lock.
//
// What a death leaves:
//   before the store that takes an end      a free entry, or one of a child that was never forked
//   before the store that gives an end up   an entry of a process that is gone
//   after it, before `changes` and the wake the kernel tells: see docs/design/pipe.md
//   after an end that travels was taken     the same; who was about to sleep has named its entry
//
// As long as a living process has an entry, the block is not freed (arena/heap.cpp).

namespace multifork::core {

enum class PipeRole : std::uint32_t { reader = 1, writer = 2 };

/// Set in the entry of an end that travels in a message: it counts, and its process cannot use it.
inline constexpr std::uint64_t pipe_travels_bit = 4;

struct PipeCell {
    static constexpr std::uint32_t capacity = 248;

    std::atomic<std::uint32_t> changes;
    std::atomic<std::uint32_t> used;
    alignas(64) std::array<std::atomic<std::uint64_t>, capacity> entries;

    [[nodiscard]] RingHeader& ring() noexcept { return *reinterpret_cast<RingHeader*>(this + 1); }
};
static_assert(sizeof(PipeCell) == 2048 && offsetof(PipeCell, entries) == 64);

[[nodiscard]] constexpr std::uint64_t make_pipe_entry(std::uint32_t record, std::uint64_t serial,
                                                      PipeRole role) {
    return serial << 32 | static_cast<std::uint64_t>(record & 0xFFFF) << 8 |
           static_cast<std::uint64_t>(role);
}
[[nodiscard]] constexpr std::uint32_t pipe_entry_record(std::uint64_t entry) {
    return static_cast<std::uint32_t>(entry >> 8) & 0xFFFF;
}
[[nodiscard]] constexpr std::uint32_t pipe_entry_serial(std::uint64_t entry) {
    return static_cast<std::uint32_t>(entry >> 32);
}
[[nodiscard]] constexpr bool pipe_entry_is(std::uint64_t entry, PipeRole role) {
    return (entry & 3) == static_cast<std::uint64_t>(role);
}

} // namespace multifork::core
