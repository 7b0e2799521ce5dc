#pragma once

#include "liveness/registry.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/core/lock_cell.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

// What a space looks like from its first byte on.
//
//   0        SegmentHeader    who made it and what is in it; written before anybody else can see it
//   512      HeapHeader       the allocator's state
//   4096     Registry         one beacon for each thread slot
//   ...      ProcessRecord    one for each process slot
//   ...      blocks           one after the other, each with a 64-byte header, up to `top`
//
// All positions are offsets from the first byte: a segment lies at another address in each program.

namespace multifork::arena {

inline constexpr std::uint32_t layout_version = 1;
inline constexpr std::uint64_t segment_magic = 0x316b726f6669746dull; // "mtifork1"
inline constexpr std::size_t registry_offset = 4096;

struct SegmentHeader {
    std::atomic<std::uint64_t> magic; // stored last
    std::uint32_t version;
    std::uint16_t pointer_bytes;
    std::uint16_t byte_order; // 0x0102 as the maker stores it
    std::uint64_t bytes;      // of the whole segment
    std::uint32_t thread_slots;
    std::uint32_t process_slots;
    std::uint64_t heap_begin;
    // A named segment holds one object:
    std::uint64_t root;      // offset of its bytes
    std::uint32_t root_kind; // arena::Kind
    std::uint32_t reserved;
    std::uint64_t pid_namespace; // of the maker: pids mean nothing in another one
    std::uint64_t root_bytes;
    std::uint64_t parameters[2]; // e.g. a queue's capacity and slot size
    // As the maker's compiler spells it; of a long one the end is a hash of the whole.
    std::array<char, 256> type_name;
};
static_assert(sizeof(SegmentHeader) <= 512);

// ---- blocks
// -----------------------------------------------------------------------------------------
//
// A block's `owner` is the one store that allocates it, frees it, or hands it on:
//
//   0                        free
//   name of a thread         being made or being read; free as soon as that thread is dead
//   process serial | 10<<30  an object of that process: until it drops it, or dies
//   ring block | 01<<30      a message of the queue in that block
//   retired (11<<30)         dropped, but a process that was forked while it existed may still use
//   it root (11<<30 | 1)        the one object of a named segment
//
// `size` is written before `top` moves past the block, and changes only when a run of free blocks
// is divided anew (Heap::join_free); so the blocks can always be walked from the first to the last,
// whatever died where. The free lists, the list of the retired and the counters are derived:
// whoever inherits the heap's lock makes them anew by such a walk.

struct BlockHeader {
    std::uint64_t size;               // of the whole block, a size of size_class()
    std::atomic<std::uint64_t> owner; // see above
    std::uint64_t birth;              // fork epoch when it was allocated
    union {
        std::uint64_t retired_at; // of an object: fork epoch when it was dropped
        std::uint64_t first_hold; // of a message: block of its first hold, see holds.cpp
    };
    std::uint64_t serial;         // tells this use of the block from earlier ones
    std::uint64_t next;           // offset of the next block of its list (derived)
    std::atomic<Kind> kind;       // set once the bytes are zero: others may look at what they hold
    std::uint32_t pages_released; // 1: its pages were given back and read as zero
    union {
        std::uint64_t position; // of a message: which item of its queue it is
        std::uint64_t holds;    // of an object: how many holds keep it (derived)
    };
};
static_assert(sizeof(BlockHeader) == 64);

// ---- holds
//
// A message may bring handles. Each of them has a hold: a block of Kind::hold that names an object
// and keeps it, whoever drops it. The block of the message owns its holds by the same owner word by
// which a queue owns messages, and they are freed with it. Whoever decodes the message takes a hold
// of its own, which its process owns like any object; so forked children count for it as well.

struct HoldRecord {
    std::uint64_t target; // block of the object, 0: none yet
    std::uint64_t serial; // which use of that block
    std::uint64_t next;   // block of the next hold of the same message
};

inline constexpr std::uint64_t owner_tag_mask = 3ull << 30;
inline constexpr std::uint64_t process_tag = 2ull << 30;
inline constexpr std::uint64_t ring_tag = 1ull << 30;
inline constexpr std::uint64_t retired = 3ull << 30;
inline constexpr std::uint64_t root_owner = retired | 1;

[[nodiscard]] constexpr std::uint64_t owner_process(std::uint64_t serial) {
    return serial << 32 | process_tag;
}

// Sizes are multiples of 64 in four steps for each doubling, so that at most a fifth is wasted.
inline constexpr std::size_t block_unit = 64;
inline constexpr std::size_t size_classes = 168;

struct SizeClass {
    std::size_t index;
    std::uint64_t bytes;
};
[[nodiscard]] constexpr SizeClass size_class(std::uint64_t bytes) {
    const std::uint64_t units = (bytes + block_unit - 1) / block_unit;
    const unsigned shift = units <= 8 ? 0 : static_cast<unsigned>(std::bit_width(units - 1)) - 3;
    const std::uint64_t steps = (units + (1ull << shift) - 1) >> shift;
    return {4 * shift + static_cast<std::size_t>(steps), (steps << shift) * block_unit};
}
/// The largest size of a block within `bytes`, such that the rest, if there is one, makes blocks
/// too. \param bytes  a multiple of block_unit, two of them at least
[[nodiscard]] constexpr std::uint64_t largest_class_within(std::uint64_t bytes) {
    if (size_class(bytes).bytes == bytes)
        return bytes;
    const std::uint64_t units = bytes / block_unit; // 9 or more: all below are sizes
    unsigned shift = static_cast<unsigned>(std::bit_width(units)) - 3;
    std::uint64_t steps = units >> shift; // 4 to 7
    if (units - (steps << shift) == 1) {  // would be left, and is no size
        if (steps == 4) {
            steps = 8;
            --shift;
        }
        --steps;
    }
    return (steps << shift) * block_unit;
}
static_assert(size_class(1).bytes == 64 && size_class(512).index == 8);
static_assert(size_class(513).index == 9 && size_class(513).bytes == 640);
static_assert(size_class(1ull << 47).index < size_classes); // all the addresses that there are

struct HeapHeader {
    core::LockCell lock;
    std::atomic<std::uint64_t> top; // blocks lie below it. COMMITs a newly carved block
    std::uint64_t committed;        // pages below it are set aside: writing there cannot fail
    std::uint64_t next_serial;
    std::atomic<std::uint64_t> fork_epoch; // begins and ends of births so far
    std::uint64_t next_process_serial;
    std::atomic<std::uint32_t> process_high_water; // under the lock; pipes look without it
    std::uint32_t swept_deaths;                    // Registry::deaths at the last sweep
    // Derived:
    std::uint64_t bytes_used;
    std::uint64_t blocks_used;
    std::uint64_t retired_head;
    std::uint64_t births; // that are not over; after a death in a fork it may be too high
    std::array<std::uint64_t, size_classes> free_heads;
};
static_assert(512 + sizeof(HeapHeader) <= registry_offset);

/// What the header says about sizes, as far as it was checked: the words in shared memory may
/// change later.
struct SegmentShape {
    std::uint64_t bytes;
    std::uint32_t thread_slots;
    std::uint32_t process_slots;
};

// ---- processes
// --------------------------------------------------------------------------------------
//
// `serial` is the one store that makes and ends a record; the rest is written before it, under the
// heap's lock, except pid and name, which the process itself or its parent writes.
//
// A child holds, without any further word, every object that existed when it was forked. Its record
// is made by the *parent*, before the fork, so that no moment exists at which the child runs and
// nobody knows; and other threads make and drop objects meanwhile. So a birth takes from one epoch
// to another: the child may hold what was made before birth_end and was not dropped before
// birth_begin, which is a little more than it has. And it holds what its parent had inherited in
// the same way, which may have been dropped by its owner meanwhile: hence the births of the
// ancestors.

struct ProcessRecord {
    std::atomic<std::uint64_t> serial; // 0: free
    std::atomic<std::uint32_t> pid;    // 0: not known yet
    // Of a child that has no pid yet, whose life counts for it; 0: nobody.
    std::atomic<std::uint32_t> parent_pid;
    std::uint64_t birth_begin; // 0, and the end too: older than all objects
    std::uint64_t birth_end;   // not_over: it is being forked
    std::uint64_t objects;     // blocks that it owns; under the heap's lock
    std::array<char, 56> name; // zero-terminated
    // The births of all ancestors that were forked themselves lie in between; 0, 0: none.
    std::uint64_t first_ancestor;
    std::uint64_t last_ancestor;
    // Monotonic: a child has a while to say its pid after its parent's death.
    std::atomic<std::int64_t> born_ns;
    // A thread of the process that lives as long as possible: whoever waits for the end of the
    // process sleeps on its beacon. 0: none is attached. Written by the process itself.
    std::atomic<liveness::ThreadWord> anchor;
};
static_assert(sizeof(ProcessRecord) == 128);

inline constexpr std::uint64_t not_over = ~std::uint64_t{0};

/// What a process has of the objects that are there when its record is made.
enum class Birth : std::uint8_t {
    inherits_nothing, ///< it will be spawned
    forked,           ///< what its parent had, which has forked already or is forked by another
    fork_to_come,     ///< what its parent will have when end_birth() is called
};

/// A process by its place in the table and the serial that it has there: a place is used again.
struct ProcessId {
    std::uint32_t record = 0;
    std::uint64_t serial = 0; // 0: none
};

[[nodiscard]] constexpr std::uint64_t process_table_offset(std::uint32_t thread_slots) {
    return registry_offset + liveness::registry_bytes(thread_slots);
}
[[nodiscard]] constexpr std::uint64_t heap_offset(std::uint32_t thread_slots,
                                                  std::uint32_t process_slots) {
    constexpr std::uint64_t page = 4096;
    const std::uint64_t end =
        process_table_offset(thread_slots) + process_slots * sizeof(ProcessRecord);
    return (end + page - 1) / page * page;
}

} // namespace multifork::arena
