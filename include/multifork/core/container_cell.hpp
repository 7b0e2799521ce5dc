#pragma once

#include <multifork/core/lock_cell.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// What a shared container (List, Dict, Namespace) is in shared memory:
//
//   ContainerHeader        the object itself; never moves
//     0    lock            whoever reads or changes the container holds it
//     8    root            where the table lies (offset of its bytes); 0: none, it is empty
//     16   repairs         deaths that were repaired; counted only
//
//   the table              a block that the container owns: ListTable here, or DictTable
//     its words are elements, as they are if they fit, else
//   an element's block     a block that the container owns; the word is its offset
//     0    length
//     8    bytes
//
// Everything is written under the lock. A change is one of two kinds, and has ONE store that
// commits it:
//
//   in place      what the store makes visible is written before: an element behind the last one
//   and
//                 then `count`; a new block and then the word that names it
//   a new table   a table is filled beside the one that counts, and then `root` names it
//
// Blocks go to the container before the commit that makes them part of it, and are taken from it
// after the commit that takes them out. So at each moment the container owns all that it shows, and
// perhaps more: what a dead process was just adding, or had just taken out. The heir of the lock
// frees all blocks that say that they are the container's and that the table does not name.
//
// dies                                  a survivor finds
// before the commit                     the container as it was, and blocks to free
// after it, before the old is freed     the container as it is to be, and blocks to free
// in the repair                         the same; it can be done any number of times
//
// List:
//   ListTable
//     0    capacity        words that there is room for; written before the table is anybody's
//     8    count           elements. COMMIT of an append and of what is taken from the end
//     16   words           capacity * 8
//
//   append            word[count], then count + 1
//   take the last     count - 1
//   replace one       word[i]
//   anything else     a new table: insert, erase in the middle, sort, an append without room

namespace multifork::core {

struct ContainerHeader {
    LockCell lock;
    std::atomic<std::uint64_t> root;
    std::atomic<std::uint64_t> repairs;
    std::uint64_t spare[5];
};
static_assert(sizeof(ContainerHeader) == 64);

/// A word of a table; atomic, so that it is one store.
using ContainerWord = std::atomic<std::uint64_t>;
static_assert(sizeof(ContainerWord) == 8 && ContainerWord::is_always_lock_free);

struct ListTable {
    std::uint64_t capacity;
    std::atomic<std::uint64_t> count;

    [[nodiscard]] ContainerWord* words() noexcept {
        return reinterpret_cast<ContainerWord*>(this + 1);
    }

    /// More than fits into all the address space that a process has.
    static constexpr std::uint64_t too_many = std::uint64_t{1} << 44;

    [[nodiscard]] static constexpr std::size_t bytes(std::uint64_t capacity) noexcept {
        return sizeof(ListTable) + capacity * sizeof(ContainerWord);
    }
    /// Doubles when it grows, so that appending costs the same on average however long the list is,
    /// and the blocks of small lists are filled.
    [[nodiscard]] static constexpr std::uint64_t room_for(std::uint64_t count,
                                                          std::uint64_t capacity_before) noexcept {
        const std::uint64_t doubled = 2 * capacity_before + 2;
        const std::uint64_t least = 6;
        const std::uint64_t wanted = count > doubled ? count : doubled;
        return wanted > least ? wanted : least;
    }
};
static_assert(sizeof(ListTable) == 16);

} // namespace multifork::core
