#include <multifork/channel/shareable_list.hpp>
#include <multifork/core/lock_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <utility>

namespace multifork {
namespace {

enum class Type : std::uint32_t { nothing, truth, integer, real, text, bytes };

struct CopyHead {
    std::uint32_t type;
    std::uint32_t length;
};

constexpr std::size_t align = 8;

std::span<const std::byte> raw(const ListItem& item, std::array<std::byte, 8>& scratch) {
    return std::visit(
        [&]<class T>(const T& value) -> std::span<const std::byte> {
            if constexpr (std::is_same_v<T, std::monostate>) {
                return {};
            } else if constexpr (std::is_arithmetic_v<T>) {
                std::memcpy(scratch.data(), &value, sizeof value);
                return {scratch.data(), sizeof value};
            } else {
                return std::as_bytes(std::span(value.data(), value.size()));
            }
        },
        item);
}

bool is_long(const ListItem& item) {
    return item.index() >= static_cast<std::size_t>(Type::text);
}

/// As Python has it: a text of 8 gets 16.
std::size_t width_for(const ListItem& item) {
    std::array<std::byte, 8> scratch{};
    return is_long(item) ? align * (raw(item, scratch).size() / align + 1) : align;
}

std::size_t slot_bytes(std::size_t width) {
    return 8 + 2 * (sizeof(CopyHead) + width);
}

} // namespace

struct ShareableList::Header {
    core::LockCell lock;
    std::uint64_t spare;
    std::uint64_t count;
    std::uint64_t more[5];

    [[nodiscard]] std::uint64_t* places() noexcept {
        return reinterpret_cast<std::uint64_t*>(this + 1);
    }
};

/// A slot whose place and width are within the memory.
struct ShareableList::Slot {
    std::byte* at;
    std::size_t width;

    [[nodiscard]] std::atomic_ref<std::uint64_t> current() const noexcept {
        return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at));
    }
    [[nodiscard]] std::byte* copy(std::uint64_t which) const noexcept {
        return at + 8 + (which & 1) * (sizeof(CopyHead) + width);
    }

    [[nodiscard]] ListItem read() const {
        const std::byte* const copy = this->copy(current().load(std::memory_order_relaxed));
        CopyHead head{};
        std::memcpy(&head, copy, sizeof head);
        const auto* const bytes = copy + sizeof head;
        std::size_t length = std::min<std::size_t>(head.length, width); // it may be overwritten
        const auto number = [&]<class T>(T value) {
            std::memcpy(&value, bytes, sizeof value);
            return value;
        };
        switch (static_cast<Type>(head.type)) {
        case Type::nothing:
            return {};
        case Type::truth:
            return number(std::uint8_t{}) != 0;
        case Type::integer:
            return number(std::int64_t{});
        case Type::real:
            return number(double{});
        case Type::text:
            return std::string(reinterpret_cast<const char*>(bytes), length);
        case Type::bytes:
            return std::vector<std::byte>(bytes, bytes + length);
        }
        throw CorruptSharedMemory("an item of a ShareableList has no type that there is: its "
                                  "memory was overwritten; make a new list, and look for a process "
                                  "that writes where it should not");
    }

    /// Under the list's lock: all or nothing, whenever the writer dies.
    void write(const ListItem& item) const noexcept {
        std::array<std::byte, 8> scratch{};
        const auto bytes = raw(item, scratch);
        const CopyHead head{static_cast<std::uint32_t>(item.index()),
                            static_cast<std::uint32_t>(bytes.size())};
        // relaxed: under the lock
        const std::uint64_t next = (current().load(std::memory_order_relaxed) & 1) ^
                                   (MULTIFORK_MUTANT(list_in_place) ? 0 : 1);
        std::byte* const to = copy(next);
        std::memcpy(to, &head, sizeof head);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (!bytes.empty())
            std::memcpy(to + sizeof head, bytes.data(), bytes.size());
        std::atomic_signal_fence(std::memory_order_seq_cst);
        current().store(next, std::memory_order_relaxed); // COMMIT; under the lock
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
};

/// Holds the list's lock, with the promise that what happens under it takes effect by one store.
class ShareableList::Guard {
public:
    explicit Guard(const ShareableList& list)
        : object_(list.memory_.object()), cell_(list.header().lock) {
        liveness::Domain& domain = object_.space().domain();
        const auto got = core::lock(cell_, domain, liveness::enter(domain),
                                    platform::Deadline::never(), core::OnDeath::refuse_one_store);
        if (got != core::Acquired::clean)
            throw CorruptSharedMemory("the lock of a ShareableList was overwritten; make a new "
                                      "list, and look for a process that writes where it should "
                                      "not");
    }
    ~Guard() { core::unlock(cell_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

private:
    arena::Object object_;
    core::LockCell& cell_;
};

// ---- making and opening
// ----------------------------------------------------------------------------------------------

ShareableList ShareableList::make(std::optional<std::string_view> name,
                                  const std::vector<Item>& items) {
    std::size_t size = sizeof(Header) + items.size() * sizeof(std::uint64_t);
    for (const Item& item : items) {
        const std::size_t width = width_for(item);
        if (width > std::size_t{1} << 31)
            throw InvalidArgument("an item of a ShareableList has at most 2^31 bytes");
        size += slot_bytes(width);
    }
    const auto init = [&](std::byte* bytes) {
        auto& header = *reinterpret_cast<Header*>(bytes);
        header.count = items.size();
        std::size_t at = sizeof(Header) + items.size() * sizeof(std::uint64_t);
        for (std::size_t i = 0; i < items.size(); ++i) {
            const std::size_t width = width_for(items[i]);
            header.places()[i] = at;
            Slot{bytes + at, width}.write(items[i]);
            at += slot_bytes(width);
        }
    };
    constexpr auto kind = arena::Kind::shared_list;
    if (name)
        return ShareableList(SharedMemory::named(*name, arena::OpenMode::create, size, kind, init));
    return ShareableList(SharedMemory::create_with(SharedMemory::random_name, size, kind, init));
}

ShareableList::ShareableList(SharedMemory memory) : memory_(std::move(memory)) {
    count_ = header().count;
    if (count_ > (memory_.size() - sizeof(Header)) / sizeof(std::uint64_t))
        throw CorruptSharedMemory(fmt::format(
            "the ShareableList '{}' says that it has {} items, more than its memory has room for: "
            "it was overwritten; remove it",
            name(), count_));
}

ShareableList ShareableList::create(const std::vector<Item>& items) {
    return make(std::nullopt, items);
}
ShareableList ShareableList::create(std::string_view name, const std::vector<Item>& items) {
    return make(name, items);
}
ShareableList ShareableList::open(std::string_view name) {
    return ShareableList(SharedMemory::named(name, arena::OpenMode::open, sizeof(Header),
                                             arena::Kind::shared_list, [](std::byte*) {}));
}

ShareableList::Header& ShareableList::header() const {
    return *reinterpret_cast<Header*>(memory_.object().data());
}

ShareableList::Slot ShareableList::slot(std::ptrdiff_t place) const {
    const auto buffer = memory_.buf();
    const auto count = static_cast<std::ptrdiff_t>(count_);
    if (place >= count || place < -count)
        throw InvalidArgument(
            fmt::format("item {} of a ShareableList of {} items: the last one is at size() - 1, or "
                        "-1",
                        place, count_));
    const auto index = static_cast<std::size_t>(place < 0 ? place + count : place);
    std::uint64_t* const places = header().places();
    const std::uint64_t begin = places[index];
    const std::uint64_t end = index + 1 < count_ ? places[index + 1] : buffer.size();
    if (begin % align != 0 || end > buffer.size() || begin < sizeof(Header) || begin > end ||
        end - begin < slot_bytes(align) || (end - begin) % align != 0)
        throw CorruptSharedMemory(
            fmt::format("the ShareableList '{}' has a slot outside of its memory: it was "
                        "overwritten; make a new list",
                        name()));
    return {buffer.data() + begin, (end - begin - 8) / 2 - sizeof(CopyHead)};
}

// ---- items
// ----------------------------------------------------------------------------------------------

void ShareableList::Item::throw_too_large() {
    throw InvalidArgument(
        "a whole number in a ShareableList is at most 2^63 - 1; keep a larger one "
        "as text, or as a double");
}

ListItem ShareableList::at(std::ptrdiff_t index) const {
    const Slot place = slot(index);
    const Guard hold(*this);
    return place.read();
}

std::optional<ListItem> ShareableList::get(std::ptrdiff_t index) const {
    const auto count = static_cast<std::ptrdiff_t>(count_);
    if (index >= count || index < -count)
        return std::nullopt;
    return at(index);
}

void ShareableList::set(std::ptrdiff_t index, const Item& item) {
    const Slot place = slot(index);
    if (width_for(item) > place.width)
        throw InvalidArgument(fmt::format(
            "set({}) of a ShareableList: the item does not fit into its slot of {} bytes; make the "
            "list with an item there that is as long as any will be",
            index, place.width));
    const Guard hold(*this);
    place.write(item);
}

std::vector<ListItem> ShareableList::to_vector() const {
    std::vector<ListItem> items;
    items.reserve(count_);
    for (const ListItem& item : *this)
        items.push_back(item);
    return items;
}

std::size_t ShareableList::count(const Item& item) const {
    const ListItem& wanted = item;
    return static_cast<std::size_t>(std::ranges::count(to_vector(), wanted));
}

std::optional<std::size_t> ShareableList::index(const Item& item) const {
    const ListItem& wanted = item;
    std::size_t place = 0;
    for (const ListItem& found : *this) {
        if (found == wanted)
            return place;
        ++place;
    }
    return std::nullopt;
}

std::string ShareableList::format() const {
    std::string text;
    std::ptrdiff_t place = 0;
    for (const ListItem& item : *this) {
        static constexpr std::array<const char*, 4> short_ones{"xxxxxx?x", "xxxxxxx?", "q", "d"};
        if (is_long(item))
            text += fmt::format("{}s", slot(place).width);
        else
            text += short_ones[item.index()];
        ++place;
    }
    return text;
}

std::string ShareableList::to_string() const {
    if (memory_.closed())
        return fmt::format("<ShareableList '{}' closed>", name());
    return fmt::format("<ShareableList '{}' {} items>", name(), count_);
}

} // namespace multifork
