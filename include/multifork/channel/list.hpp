#pragma once

#include <multifork/channel/item_reference.hpp>
#include <multifork/channel/list_iterator.hpp>
#include <multifork/channel/list_store.hpp>
#include <multifork/channel/named_container.hpp>
#include <multifork/channel/stored.hpp>
#include <multifork/format.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

namespace multifork {

/// A list that all processes share, as Python's Manager().list(), without a server process.
///
/// \code
///   mp::List<std::string> names{"Ann", "Bob"};
///   mp::Process child{[&] { names.append("Cid"); }};
///   ...
///   for (const std::string& name : names) greet(name);
///   mp::List<std::variant<int, std::string>> mixed;
/// \endcode
///
/// Each operation is one step for everybody else: it happens under the list's lock, or not at all.
/// It grows as far as there is memory. Negative indices count from the end, and slices are cut to
/// what there is, as in Python.
///
/// A trivially copyable T of up to 8 bytes lies in the list's table. Anything else that the codec
/// knows lies in a block of its own; so do handles on shared objects (a List of Lists, of Queues),
/// and the list keeps what they lead to, but for named objects: somebody must have these open. (A
/// list that contains itself keeps itself for ever.)
///
/// A List is a handle: copies, and what a forked child inherits, mean the same list. For a new list
/// with the same elements there is multifork::copy().
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     killed inside any operation: it has happened, or it has not. The next one to use the
///            list frees what the dead one left
/// \blocks    while another operation on the same list runs, functions that it was given included.
///            An operation on the list from within such a function throws WouldDeadlock; functions
///            that use each other's containers crosswise wait for ever, as with two locks
/// \cost      a lock pair; set(), append() (on average) and taking the last: independent of the
///            size. insert(), erase(), pop() elsewhere, sort(): a copy of the table, 8 bytes an
///            element, for which there must be room. An element in a block: an allocation, too
template <Crossable T>
class List : public NamedContainer<List<T>> {
public:
    using multifork_describable = void;
    using value_type = T;

    /// An empty list. \throws OutOfSharedMemory
    List() : List(detail::make_container(arena::Kind::list)) {}
    List(std::initializer_list<T> values) : List() { extend(values); }
    /// The elements of a range. \throws OutOfSharedMemory
    template <std::ranges::input_range R>
        requires(std::convertible_to<std::ranges::range_reference_t<R>, T> &&
                 !std::same_as<std::remove_cvref_t<R>, List>)
    explicit List(R&& values) : List() { extend(values); }

    /// \name One element
    /// @{
    [[nodiscard]] std::size_t size() const {
        const Guard hold(store_);
        return store_.size();
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    /// A copy of element `index`. \throws InvalidArgument when there is none
    [[nodiscard]] T at(std::ptrdiff_t index) const {
        const Guard hold(store_);
        const auto words = store_.words();
        return read(words[detail::list_place(index, words.size(), "at")]);
    }
    /// A copy of element `index`, or nothing when there is none.
    [[nodiscard]] std::optional<T> get(std::ptrdiff_t index) const {
        const Guard hold(store_);
        const auto words = store_.words();
        const auto size = static_cast<std::ptrdiff_t>(words.size());
        if (index >= size || index < -size)
            return std::nullopt;
        return read(words[static_cast<std::size_t>(index < 0 ? index + size : index)]);
    }
    [[nodiscard]] ItemReference<List, std::ptrdiff_t, T> operator[](std::ptrdiff_t index) const {
        return {*this, index};
    }
    /// Replaces element `index`. \throws InvalidArgument when there is none, OutOfSharedMemory
    void set(std::ptrdiff_t index, const T& value) const {
        Incoming element = incoming(value);
        const Guard hold(store_);
        store_.replace(detail::list_place(index, store_.size(), "set"), element);
    }
    /// Adds to element `index`. \return its value before \throws InvalidArgument
    T fetch_add(std::ptrdiff_t index, const T& amount) const requires requires(T a, const T& b) {
        a += b;
    }
    {
        return fetch_update(index, [&](T& value) { value += amount; });
    }
    /// Changes element `index`: `f(T&)` changes a copy, or `f(const T&)` returns the new value.
    /// \return its value before
    /// \throws InvalidArgument, OutOfSharedMemory, WouldDeadlock when f uses the list, and what f
    ///         throws; then nothing has changed
    template <class F>
        requires detail::Change<F, T> T fetch_update(std::ptrdiff_t index, F&& f)
    const {
        const Guard hold(store_);
        const auto words = store_.words();
        const std::size_t place = detail::list_place(index, words.size(), "fetch_update");
        T before = read(words[place]);
        Incoming element = incoming(detail::changed(before, f));
        hold.check_after_call();
        store_.replace(place, element);
        return before;
    }
    /// @}

    /// \name More and fewer
    /// @{
    /// \throws OutOfSharedMemory
    void append(const T& value) const {
        Incoming element = incoming(value);
        const Guard hold(store_);
        store_.append({&element, 1});
    }
    /// Appends all elements of a range, in one step. \throws OutOfSharedMemory
    template <std::ranges::input_range R>
        requires std::convertible_to<std::ranges::range_reference_t<R>, T>
    void extend(R&& values) const {
        std::vector<Incoming> elements = all_incoming(values);
        const Guard hold(store_);
        if (!elements.empty())
            store_.append(elements);
    }
    void extend(std::initializer_list<T> values) const {
        extend(std::span<const T>(values.begin(), values.size()));
    }
    /// Puts an element before element `index`, cut to the ends. \throws OutOfSharedMemory
    void insert(std::ptrdiff_t index, const T& value) const {
        Incoming element = incoming(value);
        const Guard hold(store_);
        const std::size_t size = store_.size();
        const std::size_t place = detail::list_clip(index, size);
        if (place == size)
            store_.append({&element, 1});
        else
            store_.splice(place, place, {&element, 1});
    }
    /// Takes element `index` out, the last if nothing is said. \throws InvalidArgument when there
    /// is none, OutOfSharedMemory (not at the end)
    T pop(std::ptrdiff_t index = -1) const {
        const Guard hold(store_);
        const auto words = store_.words();
        const std::size_t place = detail::list_place(index, words.size(), "pop");
        T value = read(words[place]);
        take_out(place, place + 1, words.size());
        return value;
    }
    /// Takes the last element out, if there is one.
    [[nodiscard]] std::optional<T> try_pop() const {
        const Guard hold(store_);
        const auto words = store_.words();
        if (words.empty())
            return std::nullopt;
        std::optional<T> value = read(words.back());
        store_.cut(words.size() - 1);
        return value;
    }
    /// Takes element `index` out. \throws as pop()
    void erase(std::ptrdiff_t index) const {
        const Guard hold(store_);
        const std::size_t size = store_.size();
        const std::size_t place = detail::list_place(index, size, "erase");
        take_out(place, place + 1, size);
    }
    /// Takes the first element out that equals `value`: Python's remove(), which is something else
    /// here. \return false when there is none
    bool remove_first(const T& value) const requires std::equality_comparable<T> {
        const Guard hold(store_);
        const auto place = find(value);
        if (place)
            take_out(*place, *place + 1, store_.size());
        return place.has_value();
    }
    void clear() const {
        const Guard hold(store_);
        store_.cut(0);
    }
    /// The elements so many times over; none for 0 or less.
    /// \throws OutOfSharedMemory, InvalidArgument for more than any memory holds
    const List& operator*=(std::ptrdiff_t times) const {
        const Guard hold(store_);
        const std::size_t size = store_.size();
        if (times <= 0 || size == 0) {
            store_.cut(0);
            return *this;
        }
        detail::check_repeat(size, times);
        store_.reserve(size * static_cast<std::size_t>(times)); // before so many are made
        // Blocks are not shared: each further element is made anew.
        std::vector<Incoming> elements;
        const std::vector<T> values = read_all();
        elements.reserve(size * static_cast<std::size_t>(times - 1));
        for (std::ptrdiff_t i = 1; i < times; ++i)
            for (const auto& value : values)
                elements.push_back(incoming(value));
        if (!elements.empty())
            store_.append(elements);
        return *this;
    }
    /// @}

    /// \name Slices: from `first` to before `last`, cut to what there is
    /// @{
    static constexpr std::ptrdiff_t to_the_end = std::numeric_limits<std::ptrdiff_t>::max();
    /// A copy of these elements.
    [[nodiscard]] std::vector<T> slice(std::ptrdiff_t first,
                                       std::ptrdiff_t last = to_the_end) const {
        const Guard hold(store_);
        const auto words = store_.words();
        const auto [from, to] = cut_to(first, last, words.size());
        std::vector<T> values;
        for (std::size_t i = from; i < to; ++i)
            values.push_back(read(words[i]));
        return values;
    }
    /// Puts the elements of a range, of any length, in their place. \throws OutOfSharedMemory
    template <std::ranges::input_range R>
        requires std::convertible_to<std::ranges::range_reference_t<R>, T>
    void assign(std::ptrdiff_t first, std::ptrdiff_t last, R&& values) const {
        std::vector<Incoming> elements = all_incoming(values);
        const Guard hold(store_);
        const auto [from, to] = cut_to(first, last, store_.size());
        store_.splice(from, to, elements);
    }
    void assign(std::ptrdiff_t first, std::ptrdiff_t last, std::initializer_list<T> values) const {
        assign(first, last, std::span<const T>(values.begin(), values.size()));
    }
    /// Takes them out. \throws OutOfSharedMemory (not at the end)
    void erase(std::ptrdiff_t first, std::ptrdiff_t last) const {
        const Guard hold(store_);
        const std::size_t size = store_.size();
        const auto [from, to] = cut_to(first, last, size);
        if (from < to)
            take_out(from, to, size);
    }
    /// @}

    /// \name The whole list
    /// @{
    /// A copy of all elements, as they are at one moment.
    [[nodiscard]] std::vector<T> copy() const {
        const Guard hold(store_);
        return read_all();
    }
    [[nodiscard]] bool contains(const T& value) const requires std::equality_comparable<T> {
        return index(value).has_value();
    }
    /// The place of the first element that equals `value`.
    [[nodiscard]] std::optional<std::size_t>
    index(const T& value) const requires std::equality_comparable<T> {
        const Guard hold(store_);
        return find(value);
    }
    /// How many elements equal `value`.
    [[nodiscard]] std::size_t count(const T& value) const requires std::equality_comparable<T> {
        const Guard hold(store_);
        std::size_t found = 0;
        for (const auto& word : store_.words())
            found += read(word) == value ? 1 : 0;
        return found;
    }
    /// Stable. `projection` is Python's key. \throws OutOfSharedMemory, and what these throw
    template <class Compare = std::ranges::less, class Projection = std::identity>
    void sort(Compare compare = {}, Projection projection = {}) const {
        const Guard hold(store_);
        std::vector<std::pair<T, std::size_t>> places;
        for (const auto& word : store_.words())
            places.emplace_back(read(word), places.size());
        std::ranges::stable_sort(places, compare, [&](const auto& place) -> decltype(auto) {
            return std::invoke(projection, place.first);
        });
        std::vector<std::size_t> order;
        for (const auto& place : places)
            order.push_back(place.second);
        hold.check_after_call();
        store_.arrange(order);
    }
    /// \throws OutOfSharedMemory
    void reverse() const {
        const Guard hold(store_);
        std::vector<std::size_t> order(store_.size());
        std::iota(order.rbegin(), order.rend(), std::size_t{0});
        store_.arrange(order);
    }
    /// The elements and those of a range, as a plain vector.
    template <std::ranges::input_range R>
        requires std::convertible_to<std::ranges::range_reference_t<R>, T>
    [[nodiscard]] friend std::vector<T> operator+(const List& list, R&& values) {
        std::vector<T> all = list.copy();
        for (auto&& value : values)
            all.push_back(static_cast<T>(value));
        return all;
    }
    /// @}

    using iterator = ListIterator<List>;
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// How often the list was repaired after a death inside an operation.
    [[nodiscard]] std::uint64_t repairs() const noexcept { return store_.repairs(); }
    /// `<List 3 elements>`
    [[nodiscard]] std::string to_string() const {
        return fmt::format("<List {} elements>", size());
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::list;
    [[nodiscard]] arena::Crossing crossing() const { return store_.crossing(); }
    static List arrive(const arena::Crossing& crossing) {
        return List(detail::Container::arrived(crossing));
    }
    /// @}

private:
    friend NamedContainer<List>;

    using Guard = detail::Container::Guard;
    using Incoming = detail::Incoming;

    explicit List(arena::Object object) : store_(std::move(object), !detail::fits_a_word<T>) {}

    static detail::ContainerIdentity identity() noexcept {
        return {arena::Kind::list, typeid(T).name(), "List"};
    }

    [[nodiscard]] Incoming incoming(const T& value) const {
        return detail::to_store(store_.space(), value);
    }
    template <class R>
    [[nodiscard]] std::vector<Incoming> all_incoming(R& values) const {
        std::vector<Incoming> elements;
        for (auto&& value : values) {
            const T& element = value;
            elements.push_back(incoming(element));
        }
        return elements;
    }

    // With the lock held:
    [[nodiscard]] T read(const core::ContainerWord& word) const {
        return detail::from_store<T>(store_, word.load(std::memory_order_relaxed));
    }
    [[nodiscard]] std::vector<T> read_all() const {
        std::vector<T> values;
        for (const auto& word : store_.words())
            values.push_back(read(word));
        return values;
    }
    [[nodiscard]] std::optional<std::size_t> find(const T& value) const {
        const auto words = store_.words();
        for (std::size_t i = 0; i < words.size(); ++i)
            if (read(words[i]) == value)
                return i;
        return std::nullopt;
    }
    void take_out(std::size_t first, std::size_t last, std::size_t size) const {
        if (last == size)
            store_.cut(first);
        else
            store_.splice(first, last, {});
    }
    static std::pair<std::size_t, std::size_t> cut_to(std::ptrdiff_t first, std::ptrdiff_t last,
                                                      std::size_t size) noexcept {
        const std::size_t from = detail::list_clip(first, size);
        return {from, std::max(from, detail::list_clip(last, size))};
    }

    mutable detail::ListStore store_; // const means the handle, not what it is of
};

/// A new unnamed list with the same elements. \throws OutOfSharedMemory
template <Crossable T>
[[nodiscard]] List<T> copy(const List<T>& list) {
    return List<T>(list.copy());
}

} // namespace multifork

// Others change the list while one goes through it: size() is not how many elements come.
template <class T>
inline constexpr bool std::ranges::disable_sized_range<multifork::List<T>> = true;
