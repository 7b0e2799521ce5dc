#include "platform/compiler_barrier.hpp"

#include <multifork/core/dict_table.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>

namespace multifork::core {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // all under the container's lock

using platform::compiler_barrier;

} // namespace

std::uint64_t stable_hash(std::span<const std::byte> bytes) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325ull;
    for (const std::byte byte : bytes)
        hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3ull;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull; // the finaliser of MurmurHash3
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
    return (hash ^ hash >> 33) | live_hash_bit;
}

void DictView::insert(std::uint64_t hash, std::uint64_t key, std::uint64_t value) noexcept {
    write(hash, key, value);
    commit();
}

void DictView::write(std::uint64_t hash, std::uint64_t key, std::uint64_t value) noexcept {
    DictEntry& made = entry(used_);
    if (MULTIFORK_MUTANT(count_first))
        table_->used.store(used_ + 1, relaxed);
    made.hash.store(hash, relaxed);
    made.key.store(key, relaxed);
    made.value.store(value, relaxed);
}

void DictView::commit() noexcept {
    compiler_barrier();
    table_->used.store(++used_, relaxed); // COMMIT
    compiler_barrier();
    ++table_->live;
    index_entry(used_ - 1);
}

void DictView::index_entry(std::uint64_t i) noexcept {
    std::uint64_t slot = entry(i).hash.load(relaxed) & mask_;
    for (std::uint64_t n = 0; n <= mask_; ++n, slot = (slot + 1) & mask_)
        if (index()[slot] == 0) {
            index()[slot] = static_cast<std::uint32_t>(i + 1);
            return;
        }
}

void DictView::erase(std::uint64_t i) noexcept {
    const std::uint64_t hash = entry(i).hash.load(relaxed);
    compiler_barrier();
    entry(i).hash.store(0, relaxed); // COMMIT
    compiler_barrier();
    --table_->live;
    close_slot_of(hash, i);
    trim();
}

void DictView::close_slot_of(std::uint64_t hash, std::uint64_t i) noexcept {
    std::uint64_t hole = hash & mask_;
    std::uint64_t n = 0;
    for (; n <= mask_ && index()[hole] != i + 1; ++n)
        hole = (hole + 1) & mask_;
    if (n > mask_)
        return; // overwritten: it is not there
    std::uint64_t next = hole;
    for (n = 0; n <= mask_; ++n) {
        next = (next + 1) & mask_;
        const std::uint32_t number = index()[next];
        if (number == 0 || number > used_)
            break;
        // One that a search from its home would not find beyond the hole moves into it.
        const std::uint64_t home = entry(number - 1).hash.load(relaxed) & mask_;
        if (((next - home) & mask_) < ((next - hole) & mask_))
            continue;
        index()[hole] = number;
        hole = next;
    }
    index()[hole] = 0;
}

void DictView::trim() noexcept {
    while (used_ > 0 && !is_live(used_ - 1))
        --used_;
    table_->used.store(used_, relaxed); // whatever it says of erased entries is right
}

void DictView::clear() noexcept {
    used_ = 0;
    table_->used.store(0, relaxed);
    table_->live = 0;
    std::fill_n(index(), mask_ + 1, 0);
}

void DictView::rebuild() noexcept {
    if (MULTIFORK_MUTANT(trust_index))
        return;
    trim();
    std::fill_n(index(), mask_ + 1, 0);
    std::uint64_t live = 0;
    for (std::uint64_t i = 0; i < used_; ++i)
        if (is_live(i)) {
            ++live;
            index_entry(i);
        }
    table_->live = live;
}

} // namespace multifork::core
