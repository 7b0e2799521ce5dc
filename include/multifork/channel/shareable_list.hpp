#pragma once

#include <multifork/channel/list_iterator.hpp>
#include <multifork/channel/shared_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// The bytes of a ShareableList:
//
//   offset 0    lock word
//          16   count       items; written once
//          64   places      8 bytes an item: where its slot begins; written once
//          ...  slots       current (0 or 1) | copy 0 | copy 1, a copy being
//                           type (4) | length (4) | `width` bytes
//
// set() writes the copy that does not count, under the lock, and commits by `current`: who dies in
// it leaves the old item or the new one, and a lock that leaves nothing to repair.

namespace multifork {

/// What a ShareableList holds: nothing, a truth value, a number, text or bytes.
using ListItem =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<std::byte>>;

/// A list of fixed length whose items may be of several types, in shared memory with a name.
///
/// \code
///   auto list = mp::ShareableList::create({42, 2.5, "howdy", true, {}});
///   list.set(2, "hi");
///   auto same = mp::ShareableList::open(list.name());
///   std::get<std::int64_t>(same.at(0));
/// \endcode
///
/// Each item has a slot as wide as the list's maker needed for it, rounded up to the next multiple
/// of 8: another text or other bytes fit as long as they are shorter than that. Trailing zero bytes
/// are kept (Python loses them).
///
/// \threads   distinct and shared objects are safe, but for close() while another uses the object
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     set(): the old or the new item
/// \cost      a lock pair and a copy of the item
class MULTIFORK_API ShareableList {
public:
    using multifork_describable = void;

    /// An item as it is written in a list: `{}`, `true`, `42`, `2.5`, `"text"`, bytes.
    /// \throws InvalidArgument for a whole number of more than 2^63 - 1
    struct Item : ListItem {
        Item() = default;
        Item(bool value) : ListItem(value) {}
        template <class T>
            requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
        Item(T value) : ListItem(static_cast<std::int64_t>(value)) {
            if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t))
                if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max()))
                    throw_too_large();
        }
        Item(double value) : ListItem(value) {}
        Item(const char* value) : ListItem(std::string(value)) {}
        Item(std::string value) : ListItem(std::move(value)) {}
        Item(std::string_view value) : ListItem(std::string(value)) {}
        Item(std::vector<std::byte> value) : ListItem(std::move(value)) {}
        Item(ListItem value) : ListItem(std::move(value)) {}

    private:
        [[noreturn]] MULTIFORK_API static void throw_too_large();
    };

    /// No list: what a codec makes before it reads one.
    ShareableList() noexcept = default;

    /// Makes a list with a name that nobody uses, or with that one.
    /// \throws AlreadyExists, InvalidArgument, OutOfSharedMemory
    static ShareableList create(const std::vector<Item>& items);
    static ShareableList create(std::string_view name, const std::vector<Item>& items);
    /// \throws NotFound, LayoutMismatch, CorruptSharedMemory
    static ShareableList open(std::string_view name);
    static bool remove(std::string_view name) { return SharedMemory::remove(name); }

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// A copy of item `index`; a negative one counts from the end.
    /// \throws InvalidArgument when there is none
    [[nodiscard]] ListItem at(std::ptrdiff_t index) const;
    [[nodiscard]] ListItem operator[](std::ptrdiff_t index) const { return at(index); }
    /// A copy of item `index`, or nothing when there is none.
    [[nodiscard]] std::optional<ListItem> get(std::ptrdiff_t index) const;
    /// Replaces item `index`, by one of any type that fits into its slot.
    /// \throws InvalidArgument when there is no such item, or it does not fit; it is as before then
    void set(std::ptrdiff_t index, const Item& item);
    /// A copy of all items, each as it was at some moment.
    [[nodiscard]] std::vector<ListItem> to_vector() const;

    using value_type = ListItem;
    using iterator = ListIterator<ShareableList>;
    /// Goes through the items, each as it is when its turn comes.
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// How many items equal `item`; 1, 1.0 and true are three different items here.
    [[nodiscard]] std::size_t count(const Item& item) const;
    /// The first item that equals `item`.
    [[nodiscard]] std::optional<std::size_t> index(const Item& item) const;
    /// The types and widths in the words of Python's struct: "q", "d", "xxxxxxx?" (bool),
    /// "xxxxxx?x" (nothing), "8s" (text or bytes in a slot of 8).
    [[nodiscard]] std::string format() const;

    /// The memory that the list lies in: name(), size(), close(), unlink().
    [[nodiscard]] SharedMemory& shm() noexcept { return memory_; }
    [[nodiscard]] const std::string& name() const noexcept { return memory_.name(); }

    /// `<ShareableList 'psm_1a2b3c4d' 5 items>`
    [[nodiscard]] std::string to_string() const;

    /// What travels through a queue is the name: see SharedMemory.
    template <class Archive>
    void save(Archive& archive) const {
        archive(name());
    }
    template <class Archive>
    void load(Archive& archive) {
        std::string name;
        archive(name);
        *this = open(name);
    }

private:
    struct Header;
    struct Slot;
    class Guard;

    ShareableList(SharedMemory memory);
    static ShareableList make(std::optional<std::string_view> name, const std::vector<Item>& items);
    [[nodiscard]] Header& header() const;
    [[nodiscard]] Slot slot(std::ptrdiff_t index) const;

    SharedMemory memory_;
    std::size_t count_ = 0; // checked when the list was opened
};

} // namespace multifork
