#include "platform/compiler_barrier.hpp"

#include <multifork/channel/dict_store.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace multifork::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // all under the container's lock

using platform::compiler_barrier;

/// Counted, because the room that a new table gets depends on it: the table's own count is derived,
/// and may have been overwritten.
std::uint64_t count_live(const std::optional<core::DictView>& table) noexcept {
    std::uint64_t live = 0;
    for (std::uint64_t i = 0; table && i < table->used(); ++i)
        live += table->is_live(i) ? 1 : 0;
    return live;
}

} // namespace

void throw_no_key(const char* what, const std::string& key) {
    throw KeyNotFound(fmt::format("this {} has no {}; look with contains() or get() first, or say "
                                  "what to take instead",
                                  what, key));
}

/// A table that the thread owns until it becomes the root.
class DictStore::NewTable {
public:
    NewTable(arena::Space& space, std::uint64_t count)
        : space_(space), capacity_(core::DictTable::room_for(count)),
          offset_(space.allocate(core::DictTable::bytes(capacity_), arena::Kind::bytes)) {
        auto& table = *reinterpret_cast<core::DictTable*>(space.at(offset_));
        table.capacity = capacity_;
        view_.emplace(table, capacity_, 0);
        view_->clear();
    }
    ~NewTable() {
        if (offset_ != 0)
            space_.free(offset_);
    }
    NewTable(const NewTable&) = delete;
    NewTable& operator=(const NewTable&) = delete;

    void copy_live(const core::DictView& from) noexcept {
        for (std::uint64_t i = 0; i < from.used(); ++i)
            if (from.is_live(i) && !view_->full())
                view_->insert(from.entry(i).hash.load(relaxed), from.entry(i).key.load(relaxed),
                              from.entry(i).value.load(relaxed));
    }
    [[nodiscard]] core::DictView& view() noexcept { return *view_; }
    [[nodiscard]] std::uint64_t release() noexcept { return std::exchange(offset_, 0); }

private:
    arena::Space& space_;
    std::uint64_t capacity_;
    std::uint64_t offset_;
    std::optional<core::DictView> view_;
};

// ---- looking
// ----------------------------------------------------------------------------------------------

std::optional<core::DictView> DictStore::view() const {
    const std::uint64_t at = root();
    if (at == 0)
        return std::nullopt;
    auto& table = *reinterpret_cast<core::DictTable*>(space().checked(at, sizeof(core::DictTable)));
    const std::uint64_t capacity = table.capacity;
    const std::uint64_t used = table.used.load(relaxed);
    if (capacity > core::DictTable::too_many || used > capacity)
        corrupt();
    static_cast<void>(space().checked(at, core::DictTable::bytes(capacity)));
    return core::DictView(table, capacity, used);
}

std::size_t DictStore::size() const {
    const auto now = view();
    return now ? static_cast<std::size_t>(now->live()) : 0;
}

bool DictStore::is_key(std::uint64_t word, const KeyBytes& key) const {
    if (!key_blocks_)
        return word == key.word;
    const auto bytes = bytes_at(word);
    return std::equal(bytes.begin(), bytes.end(), key.bytes.begin(), key.bytes.end());
}

std::optional<std::uint64_t> DictStore::find_in(const core::DictView& table,
                                                const KeyBytes& key) const {
    return table.find(key.hash, [&](std::uint64_t word) { return is_key(word, key); });
}

std::optional<std::size_t> DictStore::find(const KeyBytes& key) const {
    const auto now = view();
    return now ? find_in(*now, key) : std::nullopt;
}

std::optional<std::size_t> DictStore::last() const {
    const auto now = view();
    for (std::uint64_t i = now ? now->used() : 0; i > 0; --i)
        if (now->is_live(i - 1))
            return i - 1;
    return std::nullopt;
}

std::uint64_t DictStore::key_at(std::size_t entry) const {
    return view()->entry(entry).key.load(relaxed);
}
std::uint64_t DictStore::value_at(std::size_t entry) const {
    return view()->entry(entry).value.load(relaxed);
}

// ---- changing
// ----------------------------------------------------------------------------------------------

Incoming DictStore::incoming_key(const KeyBytes& key) const {
    return key_blocks_ ? Incoming(space(), key.bytes) : Incoming(key.word);
}

void DictStore::replace(std::size_t entry, Incoming& value) {
    core::ContainerWord& place = view()->entry(entry).value;
    const std::uint64_t old = place.load(relaxed);
    if (MULTIFORK_MUTANT(free_old_first) && value_blocks_)
        discard(old);
    value.give(object());
    compiler_barrier();
    place.store(value.word(), relaxed); // COMMIT
    compiler_barrier();
    if (value_blocks_)
        discard(old);
}

void DictStore::insert(const KeyBytes& key, Incoming& value) {
    Incoming made = incoming_key(key);
    auto now = view();
    if (now && !now->full()) {
        now->write(key.hash, made.word(), value.word());
        if (!MULTIFORK_MUTANT(give_late)) {
            made.give(object());
            value.give(object());
        }
        now->commit(); // COMMIT
        if (MULTIFORK_MUTANT(give_late)) {
            made.give(object());
            value.give(object());
        }
        return;
    }
    // With room for half as many again, so that the next new table is a while off; a table that was
    // full of erased entries becomes smaller.
    const std::uint64_t live = count_live(now);
    NewTable table(space(), live + live / 2 + 1);
    if (now)
        table.copy_live(*now);
    if (table.view().full()) // somebody writes into the old one meanwhile
        corrupt();
    table.view().insert(key.hash, made.word(), value.word());
    made.give(object());
    value.give(object());
    change_root(table.release()); // COMMITs
}

void DictStore::set(const KeyBytes& key, Incoming& value) {
    if (const auto entry = find(key))
        replace(*entry, value);
    else
        insert(key, value);
}

void DictStore::erase(std::size_t entry) {
    auto now = view();
    const std::uint64_t key = now->entry(entry).key.load(relaxed);
    const std::uint64_t value = now->entry(entry).value.load(relaxed);
    now->erase(entry); // COMMITs
    if (key_blocks_)
        discard(key);
    if (value_blocks_)
        discard(value);
}

void DictStore::clear() {
    const auto now = view();
    const std::vector<std::uint64_t> old = now ? blocks_of(*now) : std::vector<std::uint64_t>{};
    change_root(0); // COMMITs
    for (const std::uint64_t word : old)
        discard(word);
}

void DictStore::update(std::span<Item> items) {
    if (items.size() == 1)
        return set(items.front().key, items.front().value);
    if (items.empty())
        return;
    const auto now = view();
    std::vector<std::uint64_t> replaced;
    replaced.reserve(items.size());
    std::vector<Incoming> keys;
    keys.reserve(items.size());
    NewTable table(space(), count_live(now) + items.size());
    if (now)
        table.copy_live(*now);
    for (Item& item : items) {
        if (const auto entry = find_in(table.view(), item.key)) {
            core::ContainerWord& place = table.view().entry(*entry).value;
            replaced.push_back(place.load(relaxed));
            place.store(item.value.word(), relaxed);
        } else {
            if (table.view().full()) // somebody writes into the old one meanwhile
                corrupt();
            keys.push_back(incoming_key(item.key));
            table.view().insert(item.key.hash, keys.back().word(), item.value.word());
        }
    }
    for (Incoming& key : keys)
        key.give(object());
    for (Item& item : items)
        item.value.give(object());
    change_root(table.release()); // COMMITs
    if (value_blocks_)
        for (const std::uint64_t word : replaced)
            discard(word);
}

std::vector<std::uint64_t> DictStore::mend() const {
    auto now = view();
    if (!now)
        return {};
    now->rebuild();
    std::vector<std::uint64_t> in_use = blocks_of(*now);
    in_use.push_back(root());
    return in_use;
}

std::vector<std::uint64_t> DictStore::blocks_of(const core::DictView& table) const {
    std::vector<std::uint64_t> found;
    for (std::uint64_t i = 0; i < table.used(); ++i)
        if (table.is_live(i)) {
            if (key_blocks_)
                found.push_back(table.entry(i).key.load(relaxed));
            if (value_blocks_)
                found.push_back(table.entry(i).value.load(relaxed));
        }
    return found;
}

} // namespace multifork::detail
