#pragma once

#include <cstdint>

// How a thread is named in shared memory: a slot of the registry and that slot's generation, in 64
// bits, so that a lock word is its owner's name.
//
//   bits 63..32   generation, upper part
//   bit  31       waiters: somebody may be asleep on this word (lock words only)
//   bit  30       one-store: the holder promises that what it changes takes effect by one store, so
//                 that its death leaves nothing to repair (lock words only)
//   bits 29..16   generation, lower part
//   bits 15..0    slot + 1; 0 names nobody
//
// A futex sees the lower half: slot, both flags and 14 bits of the generation. The generation is
// taken anew at each use of a slot; 46 bits last for two thousand years at a thread a microsecond,
// so a name never comes back and a dead name stays dead.

namespace multifork::liveness {

using ThreadWord = std::uint64_t;

inline constexpr ThreadWord nobody = 0;
inline constexpr ThreadWord waiters_bit = 1ull << 31;
inline constexpr ThreadWord one_store_bit = 1ull << 30;
inline constexpr ThreadWord name_mask = ~(waiters_bit | one_store_bit);
inline constexpr std::uint32_t max_slots = 0xFFFE;

/// A name that no thread ever has: a lock word that holds it has an owner who is dead for good.
inline constexpr ThreadWord poisoned = 0xFFFF;

[[nodiscard]] constexpr ThreadWord make_thread_word(std::uint32_t slot, std::uint64_t generation) {
    return (generation >> 14) << 32 | (generation & 0x3FFF) << 16 | (slot + 1);
}
[[nodiscard]] constexpr std::uint32_t slot_of(ThreadWord word) {
    return static_cast<std::uint32_t>(word & 0xFFFF) - 1;
}
[[nodiscard]] constexpr std::uint64_t generation_of(ThreadWord word) {
    return (word >> 32) << 14 | ((word >> 16) & 0x3FFF);
}
/// The word without the two flags.
[[nodiscard]] constexpr ThreadWord name_of(ThreadWord word) {
    return word & name_mask;
}

static_assert(generation_of(make_thread_word(7, 123'456'789)) == 123'456'789);
static_assert(slot_of(make_thread_word(7, 123'456'789)) == 7);
static_assert((make_thread_word(max_slots - 1, ~0ull >> 18) & (waiters_bit | one_store_bit)) == 0);

} // namespace multifork::liveness
