#include "platform/compiler_barrier.hpp"

#include <multifork/channel/list_store.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace multifork::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // all under the container's lock

using platform::compiler_barrier;

} // namespace

std::size_t list_place(std::ptrdiff_t index, std::size_t size, const char* operation) {
    const auto count = static_cast<std::ptrdiff_t>(size);
    if (index >= count || index < -count)
        throw InvalidArgument(
            size == 0 ? fmt::format("{}({}) of an empty List: it has no elements", operation, index)
                      : fmt::format("{}({}) of a List of {} elements: the last one is at size() - "
                                    "1, or -1",
                                    operation, index, size));
    return static_cast<std::size_t>(index < 0 ? index + count : index);
}

std::size_t list_clip(std::ptrdiff_t index, std::size_t size) noexcept {
    const auto count = static_cast<std::ptrdiff_t>(size);
    if (index < -count)
        return 0;
    return static_cast<std::size_t>(index < 0 ? index + count : std::min(index, count));
}

void check_repeat(std::size_t size, std::ptrdiff_t times) {
    if (static_cast<std::size_t>(times) > core::ListTable::too_many / size)
        throw InvalidArgument(fmt::format("a List of {} elements cannot be repeated {} times: no "
                                          "machine has memory for that",
                                          size, times));
}

/// A table that the thread owns until it becomes the root.
class ListStore::NewTable {
public:
    NewTable(arena::Space& space, std::uint64_t capacity, std::uint64_t count)
        : space_(space),
          offset_(space.allocate(core::ListTable::bytes(capacity), arena::Kind::bytes)),
          table_(*reinterpret_cast<core::ListTable*>(space.at(offset_))) {
        table_.capacity = capacity;
        table_.count.store(count, relaxed);
    }
    ~NewTable() {
        if (offset_ != 0)
            space_.free(offset_);
    }
    NewTable(const NewTable&) = delete;
    NewTable& operator=(const NewTable&) = delete;

    void push(std::uint64_t word) noexcept { table_.words()[filled_++].store(word, relaxed); }
    void push(const core::ContainerWord* from, std::uint64_t count) noexcept {
        for (std::uint64_t i = 0; i < count; ++i)
            push(from[i].load(relaxed));
    }
    [[nodiscard]] std::uint64_t release() noexcept { return std::exchange(offset_, 0); }

private:
    arena::Space& space_;
    std::uint64_t offset_;
    core::ListTable& table_;
    std::uint64_t filled_ = 0;
};

ListStore::View ListStore::view() const {
    const std::uint64_t at = root();
    if (at == 0)
        return {};
    auto& table = *reinterpret_cast<core::ListTable*>(space().checked(at, sizeof(core::ListTable)));
    const View found{&table, table.capacity, table.count.load(relaxed)};
    if (found.capacity > core::ListTable::too_many || found.count > found.capacity)
        corrupt();
    static_cast<void>(space().checked(at, core::ListTable::bytes(found.capacity)));
    return found;
}

std::span<const core::ContainerWord> ListStore::words() const {
    const View found = view();
    if (found.count == 0)
        return {};
    return {found.words(), static_cast<std::size_t>(found.count)};
}

void ListStore::append(std::span<Incoming> elements) {
    const View now = view();
    if (now.capacity - now.count < elements.size())
        return splice(now.count, now.count, elements);
    if (MULTIFORK_MUTANT(count_first) && now.table != nullptr)
        now.table->count.store(now.count + elements.size(), relaxed);
    std::uint64_t count = now.count;
    for (Incoming& element : elements) {
        now.words()[count++].store(element.word(), relaxed);
        if (!MULTIFORK_MUTANT(give_late))
            element.give(object());
    }
    compiler_barrier();
    if (now.table != nullptr)
        now.table->count.store(count, relaxed); // COMMIT
    compiler_barrier();
    if (MULTIFORK_MUTANT(give_late))
        for (Incoming& element : elements)
            element.give(object());
}

void ListStore::replace(std::size_t i, Incoming& element) {
    core::ContainerWord& place = view().words()[i];
    const std::uint64_t old = place.load(relaxed);
    if (MULTIFORK_MUTANT(free_old_first) && blocks_)
        discard(old);
    element.give(object());
    compiler_barrier();
    place.store(element.word(), relaxed); // COMMIT
    compiler_barrier();
    if (blocks_)
        discard(old);
}

void ListStore::splice(std::size_t first, std::size_t last, std::span<Incoming> elements) {
    const View now = view();
    const std::uint64_t count = now.count - (last - first) + elements.size();
    // With room for half as many again, so that the next append() finds some.
    const std::uint64_t capacity =
        count > now.capacity
            ? core::ListTable::room_for(count, now.capacity)
            : std::min(now.capacity, core::ListTable::room_for(count + count / 2, 0));
    NewTable made(space(), capacity, count);
    // The words that go are read before the commit, which frees their table.
    const std::vector<std::uint64_t> old = words_of_blocks(now, first, last);
    if (now.table != nullptr)
        made.push(now.words(), first);
    for (Incoming& element : elements) {
        made.push(element.word());
        element.give(object());
    }
    if (now.table != nullptr)
        made.push(now.words() + last, now.count - last);
    change_root(made.release());
    for (const std::uint64_t word : old)
        discard(word);
}

void ListStore::reserve(std::size_t count) {
    const View now = view();
    if (count <= now.capacity)
        return;
    NewTable made(space(), core::ListTable::room_for(count, now.capacity), now.count);
    if (now.table != nullptr)
        made.push(now.words(), now.count);
    change_root(made.release()); // COMMITs: the same elements
}

void ListStore::cut(std::size_t count) {
    const View now = view();
    if (now.table == nullptr)
        return;
    if (count == 0 && now.capacity > core::ListTable::room_for(0, 0)) {
        // Nothing is left: give the table back too.
        const std::vector<std::uint64_t> old = words_of_blocks(now, 0, now.count);
        change_root(0);
        for (const std::uint64_t word : old)
            discard(word);
        return;
    }
    compiler_barrier();
    now.table->count.store(count, relaxed); // COMMIT
    compiler_barrier();
    if (blocks_)
        for (std::uint64_t i = count; i < now.count; ++i)
            discard(now.words()[i].load(relaxed));
}

void ListStore::arrange(std::span<const std::size_t> order) {
    const View now = view();
    if (now.table == nullptr || order.size() != now.count)
        return;
    NewTable made(space(), now.capacity, now.count);
    for (const std::size_t from : order)
        made.push(now.words()[from].load(relaxed));
    change_root(made.release());
}

std::vector<std::uint64_t> ListStore::mend() const {
    const View now = view();
    std::vector<std::uint64_t> in_use = words_of_blocks(now, 0, now.count);
    if (now.table != nullptr)
        in_use.push_back(root());
    return in_use;
}

std::vector<std::uint64_t> ListStore::words_of_blocks(const View& now, std::uint64_t first,
                                                      std::uint64_t last) const {
    std::vector<std::uint64_t> found;
    if (blocks_)
        for (std::uint64_t i = first; i < last; ++i)
            found.push_back(now.words()[i].load(relaxed));
    return found;
}

} // namespace multifork::detail
