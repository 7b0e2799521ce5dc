#pragma once

#include <multifork/core/container_cell.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

// The table of a Dict: entries in the order in which they were inserted, and an index over them.
//
//   DictTable
//     0    capacity        entries that there is room for; written before the table is anybody's
//     8    used            entries written, erased ones among them. COMMIT of an insert
//     16   live            entries that are not erased (derived)
//     32   entries         capacity * (hash, key, value)
//     ..   index           slots() * 4 bytes: number of an entry + 1; 0: none (derived)
//
//   insert            the entry at `used`, then used + 1; then live and the index
//   replace a value   entry.value
//   erase             entry.hash = 0; then live, the index, and `used` if it was the last
//   anything else     a new table: no room for another entry, an update with several items, clear
//
// Index and `live` can be made from the entries at any time: the heir of the lock does so. So an
// index may be changed in any order of stores. It is open addressing with linear probing; an erased
// entry's slot is closed by moving others back, so that no slot is ever lost.
//
// An index is never more than two thirds full. All searches end after slots() steps, and numbers of
// entries are checked, whatever the bytes say.

namespace multifork::core {

struct DictEntry {
    ContainerWord hash; // of the key, with the highest bit set; 0: erased
    ContainerWord key;
    ContainerWord value;
};
static_assert(sizeof(DictEntry) == 24);

inline constexpr std::uint64_t live_hash_bit = std::uint64_t{1} << 63;

struct DictTable {
    std::uint64_t capacity;
    std::atomic<std::uint64_t> used;
    std::uint64_t live;
    std::uint64_t spare;

    static constexpr std::uint64_t too_many = std::uint64_t{1} << 31;

    [[nodiscard]] static constexpr std::uint64_t slots(std::uint64_t capacity) noexcept {
        return std::bit_ceil(capacity + capacity / 2 + 1);
    }
    [[nodiscard]] static constexpr std::size_t bytes(std::uint64_t capacity) noexcept {
        return sizeof(DictTable) + capacity * sizeof(DictEntry) +
               slots(capacity) * sizeof(std::uint32_t);
    }
    /// As many entries as the index of the next size serves.
    [[nodiscard]] static constexpr std::uint64_t room_for(std::uint64_t count) noexcept {
        const std::uint64_t index = std::bit_ceil(count + count / 2 + 1);
        return index <= 8 ? 5 : (index - 1) * 2 / 3;
    }
};
static_assert(sizeof(DictTable) == 32);
static_assert(DictTable::room_for(5) == 5 && DictTable::room_for(6) == 10);
static_assert(DictTable::slots(5) == 8 && DictTable::slots(10) == 16);

/// FNV-1a, then mixed so that the lowest bits depend on all: the same for the same bytes in every
/// program and version. Not against somebody who chooses keys to collide.
[[nodiscard]] MULTIFORK_API std::uint64_t stable_hash(std::span<const std::byte> bytes) noexcept;

/// A table whose sizes were checked: what it says about itself is not read again.
class MULTIFORK_API DictView {
public:
    DictView(DictTable& table, std::uint64_t capacity, std::uint64_t used) noexcept
        : table_(&table), capacity_(capacity), used_(used), mask_(DictTable::slots(capacity) - 1) {}

    [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    [[nodiscard]] std::uint64_t live() const noexcept {
        return table_->live < used_ ? table_->live : used_;
    }
    [[nodiscard]] bool full() const noexcept { return used_ >= capacity_; }
    [[nodiscard]] DictEntry& entry(std::uint64_t i) const noexcept {
        return reinterpret_cast<DictEntry*>(table_ + 1)[i];
    }
    [[nodiscard]] bool is_live(std::uint64_t i) const noexcept {
        return entry(i).hash.load(std::memory_order_relaxed) != 0; // under the container's lock
    }

    /// The entry with that hash whose key word `is_key` accepts. Ends also if the index is garbage.
    template <class IsKey>
    [[nodiscard]] std::optional<std::uint64_t> find(std::uint64_t hash, IsKey is_key) const {
        std::uint64_t slot = hash & mask_;
        for (std::uint64_t n = 0; n <= mask_; ++n, slot = (slot + 1) & mask_) {
            const std::uint32_t number = index()[slot];
            if (number == 0 || number > used_)
                return std::nullopt;
            const DictEntry& found = entry(number - 1);
            // relaxed: under the container's lock
            if (found.hash.load(std::memory_order_relaxed) == hash &&
                is_key(found.key.load(std::memory_order_relaxed)))
                return number - 1;
        }
        return std::nullopt;
    }

    /// Adds an entry behind the last; there is room. COMMITs.
    void insert(std::uint64_t hash, std::uint64_t key, std::uint64_t value) noexcept;
    /// The same in two steps, for who has something to do before the commit.
    void write(std::uint64_t hash, std::uint64_t key, std::uint64_t value) noexcept;
    void commit() noexcept;
    /// Erases a live entry. COMMITs.
    void erase(std::uint64_t i) noexcept;
    /// For a table that nobody sees yet: no entries.
    void clear() noexcept;
    /// Makes the derived words from the entries, and forgets erased ones at the end.
    void rebuild() noexcept;

private:
    [[nodiscard]] std::uint32_t* index() const noexcept {
        return reinterpret_cast<std::uint32_t*>(&entry(capacity_));
    }
    void index_entry(std::uint64_t i) noexcept;
    void close_slot_of(std::uint64_t hash, std::uint64_t i) noexcept;
    void trim() noexcept;

    DictTable* table_;
    std::uint64_t capacity_;
    std::uint64_t used_;
    std::uint64_t mask_;
};

} // namespace multifork::core
