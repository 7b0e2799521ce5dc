#pragma once

#include <multifork/channel/dict_store.hpp>
#include <multifork/channel/item_reference.hpp>
#include <multifork/channel/key.hpp>
#include <multifork/channel/named_container.hpp>
#include <multifork/format.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace multifork {

/// Keys and values that all processes share, as Python's Manager().dict(), without a server
/// process. In the order in which the keys were added.
///
/// \code
///   mp::Dict<std::string, int> words;
///   words.fetch_add("hello", 1);                    // one step, and 0 if it was not there
///   words["hello"] = 5;
///   if (auto n = words.get("hello")) ...
///   for (const auto& [word, n] : words) ...         // of a snapshot
/// \endcode
///
/// Each operation is one step for everybody else: it happens under the dict's lock, or not at all.
/// It grows as far as there is memory.
///
/// Keys are equal when their bytes are: all programs must build K in the same way. They are hashed
/// by FNV-1a over these bytes, which is the same everywhere. (A key that holds an unordered
/// container may have its elements in any order; it is no good key.)
///
/// A Dict is a handle: copies, and what a forked child inherits, mean the same dict. For a new one
/// with the same items there is multifork::copy().
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     killed inside any operation: it has happened, or it has not. The next one to use the
///            dict frees what the dead one left, and makes the index anew
/// \blocks    while another operation on the same dict runs, functions that it was given included.
///            An operation on the dict from within such a function throws WouldDeadlock; functions
///            that use each other's containers crosswise wait for ever, as with two locks
/// \cost      a lock pair and a search; a key or value of more than 8 bytes that is set: an
///            allocation, too. update() with several items: a copy of the table
template <Key K, Crossable V>
class Dict : public NamedContainer<Dict<K, V>> {
public:
    using multifork_describable = void;
    using key_type = K;
    using mapped_type = V;
    using value_type = std::pair<K, V>;

    /// An empty dict. \throws OutOfSharedMemory
    Dict() : Dict(detail::make_container(arena::Kind::dict)) {}
    Dict(std::initializer_list<value_type> items) : Dict() { update(items); }
    /// The items of a range of pairs, a std::map say. \throws OutOfSharedMemory
    template <std::ranges::input_range R>
        requires(std::convertible_to<std::ranges::range_reference_t<R>, value_type> &&
                 !std::same_as<std::remove_cvref_t<R>, Dict>)
    explicit Dict(R&& items) : Dict() { update(items); }

    /// \name Looking
    /// @{
    [[nodiscard]] std::size_t size() const {
        const Guard hold(store_);
        return store_.size();
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] bool contains(const K& key) const {
        const Bytes bytes(key);
        const Guard hold(store_);
        return store_.find(bytes.key()).has_value();
    }
    /// A copy of the key's value. \throws KeyNotFound
    [[nodiscard]] V at(const K& key) const {
        std::optional<V> found = get(key);
        if (!found)
            throw_no_key(key);
        return std::move(*found);
    }
    /// A copy of the key's value, or nothing.
    [[nodiscard]] std::optional<V> get(const K& key) const {
        const Bytes bytes(key);
        const Guard hold(store_);
        const auto entry = store_.find(bytes.key());
        if (!entry)
            return std::nullopt;
        return read(*entry);
    }
    /// A copy of the key's value, or `otherwise`.
    [[nodiscard]] V get(const K& key, const V& otherwise) const {
        return get(key).value_or(otherwise);
    }
    [[nodiscard]] ItemReference<Dict, K, V> operator[](const K& key) const { return {*this, key}; }
    /// @}

    /// \name One item
    /// \throws OutOfSharedMemory, and what is thrown by the functions given; then nothing has
    /// changed
    /// @{
    /// Adds the key, at the end, or replaces its value.
    void set(const K& key, const V& value) const {
        const Bytes bytes(key);
        detail::Incoming made = incoming(value);
        const Guard hold(store_);
        store_.set(bytes.key(), made);
    }
    /// Adds the key if it is not there. \return its value then
    V setdefault(const K& key, const V& value = V{}) const {
        const Bytes bytes(key);
        detail::Incoming made = incoming(value);
        const Guard hold(store_);
        if (const auto entry = store_.find(bytes.key()))
            return read(*entry);
        store_.insert(bytes.key(), made);
        return value;
    }
    /// Adds to the value; one that is not there counts as V{}. \return the value before
    V fetch_add(const K& key, const V& amount) const requires requires(V a, const V& b) { a += b; }
    {
        return fetch_update(
            key, [&](V& value) { value += amount; }, V{});
    }
    /// Changes the key's value: `f(V&)` changes a copy, or `f(const V&)` returns the new value.
    /// \param initial  what f gets when the key is not there
    /// \return the value before, or `initial`
    /// \throws KeyNotFound without `initial`, WouldDeadlock when f uses the dict
    template <class F>
        requires detail::Change<F, V> V fetch_update(const K& key, F&& f,
                                                     const std::optional<V>& initial = std::nullopt)
    const {
        const Bytes bytes(key);
        const Guard hold(store_);
        const auto entry = store_.find(bytes.key());
        if (!entry && !initial)
            throw_no_key(key);
        V before = entry ? read(*entry) : *initial;
        detail::Incoming made = incoming(detail::changed(before, f));
        hold.check_after_call();
        if (entry)
            store_.replace(*entry, made);
        else
            store_.insert(bytes.key(), made);
        return before;
    }
    /// Takes the key out. \return false when it was not there
    bool erase(const K& key) const {
        const Bytes bytes(key);
        const Guard hold(store_);
        const auto entry = store_.find(bytes.key());
        if (entry)
            store_.erase(*entry);
        return entry.has_value();
    }
    /// Takes the key out. \return its value \throws KeyNotFound
    V pop(const K& key) const {
        std::optional<V> value = take(key);
        if (!value)
            throw_no_key(key);
        return std::move(*value);
    }
    /// The same, or `otherwise`.
    V pop(const K& key, const V& otherwise) const { return take(key).value_or(otherwise); }
    /// Takes the item out that was added last. \throws KeyNotFound when there is none
    value_type popitem() const {
        std::optional<value_type> item = try_popitem();
        if (!item)
            detail::throw_no_key("Dict", "items");
        return std::move(*item);
    }
    [[nodiscard]] std::optional<value_type> try_popitem() const {
        const Guard hold(store_);
        const auto entry = store_.last();
        if (!entry)
            return std::nullopt;
        value_type item(read_key(store_.key_at(*entry)), read(*entry));
        store_.erase(*entry);
        return item;
    }
    /// @}

    /// \name All items
    /// @{
    /// Sets all items of a range of pairs, another dict say, in one step: all or none.
    /// \throws OutOfSharedMemory
    template <std::ranges::input_range R>
        requires std::convertible_to<std::ranges::range_reference_t<R>, value_type>
    void update(R&& items) const {
        std::deque<std::vector<std::byte>> keys;
        std::vector<detail::DictStore::Item> made;
        for (auto&& item : items) {
            const value_type& pair = item;
            detail::encode_key(pair.first, keys.emplace_back());
            made.push_back({key_of(keys.back()), incoming(pair.second)});
        }
        const Guard hold(store_);
        store_.update(made);
    }
    void update(std::initializer_list<value_type> items) const {
        update(std::ranges::subrange(items.begin(), items.end()));
    }
    void clear() const {
        const Guard hold(store_);
        store_.clear();
    }
    [[nodiscard]] std::vector<K> keys() const {
        std::vector<K> keys;
        const Guard hold(store_);
        store_.for_each([&](std::uint64_t key, std::uint64_t) { keys.push_back(read_key(key)); });
        return keys;
    }
    [[nodiscard]] std::vector<V> values() const {
        std::vector<V> values;
        const Guard hold(store_);
        store_.for_each(
            [&](std::uint64_t, std::uint64_t value) { values.push_back(read_value(value)); });
        return values;
    }
    /// Copies of all items, as they are at one moment, in their order.
    [[nodiscard]] std::vector<value_type> items() const {
        std::vector<value_type> items;
        const Guard hold(store_);
        store_.for_each([&](std::uint64_t key, std::uint64_t value) {
            items.emplace_back(read_key(key), read_value(value));
        });
        return items;
    }
    /// The same, as a map, sorted by key.
    [[nodiscard]] std::map<K, V> copy() const requires std::totally_ordered<K> {
        std::map<K, V> copied;
        for (auto& item : items())
            copied.insert(std::move(item));
        return copied;
    }
    /// @}

    /// Goes through a snapshot: the items as they are at begin().
    class iterator {
    public:
        using value_type = std::pair<K, V>;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(const Dict& dict)
            : items_(std::make_shared<const std::vector<value_type>>(dict.items())) {}
        const value_type& operator*() const { return (*items_)[place_]; }
        const value_type* operator->() const { return &(*items_)[place_]; }
        iterator& operator++() {
            ++place_;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const {
            return !items_ || place_ >= items_->size();
        }

    private:
        std::shared_ptr<const std::vector<value_type>> items_;
        std::size_t place_ = 0;
    };
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// How often the dict was repaired after a death inside an operation.
    [[nodiscard]] std::uint64_t repairs() const noexcept { return store_.repairs(); }
    /// `<Dict 3 items>`
    [[nodiscard]] std::string to_string() const { return fmt::format("<Dict {} items>", size()); }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::dict;
    [[nodiscard]] arena::Crossing crossing() const { return store_.crossing(); }
    static Dict arrive(const arena::Crossing& crossing) {
        return Dict(detail::Container::arrived(crossing));
    }
    /// @}

private:
    friend NamedContainer<Dict>;

    using Guard = detail::Container::Guard;

    /// A key's bytes, in the thread's buffer.
    class Bytes {
    public:
        explicit Bytes(const K& key) { detail::encode_key(key, buffer_.bytes()); }
        [[nodiscard]] detail::KeyBytes key() const { return key_of(buffer_.bytes()); }

    private:
        mutable MessageBuffer buffer_; // not changed after the constructor
    };
    [[nodiscard]] static detail::KeyBytes key_of(const std::vector<std::byte>& bytes) noexcept {
        std::uint64_t word = 0;
        if constexpr (detail::key_fits_a_word<K>)
            std::memcpy(&word, bytes.data(), sizeof(K));
        return {bytes, word};
    }

    explicit Dict(arena::Object object)
        : store_(std::move(object), !detail::key_fits_a_word<K>, !detail::fits_a_word<V>, "Dict") {}

    static detail::ContainerIdentity identity() noexcept {
        return {arena::Kind::dict, typeid(value_type).name(), "Dict"};
    }

    [[nodiscard]] detail::Incoming incoming(const V& value) const {
        return detail::to_store(store_.space(), value);
    }
    [[noreturn]] static void throw_no_key(const K& key) {
        if constexpr (fmt::is_formattable<K>::value)
            detail::throw_no_key("Dict", fmt::format("key '{}'", key));
        else
            detail::throw_no_key("Dict", "such key");
    }

    // With the lock held:
    [[nodiscard]] K read_key(std::uint64_t word) const {
        return detail::decode_key<K>(store_, word);
    }
    [[nodiscard]] V read_value(std::uint64_t word) const {
        return detail::from_store<V>(store_, word);
    }
    [[nodiscard]] V read(std::size_t entry) const { return read_value(store_.value_at(entry)); }
    [[nodiscard]] std::optional<V> take(const K& key) const {
        const Bytes bytes(key);
        const Guard hold(store_);
        const auto entry = store_.find(bytes.key());
        if (!entry)
            return std::nullopt;
        std::optional<V> value = read(*entry);
        store_.erase(*entry);
        return value;
    }

    mutable detail::DictStore store_; // const means the handle, not what it is of
};

/// A new unnamed dict with the same items. \throws OutOfSharedMemory
template <Key K, Crossable V>
[[nodiscard]] Dict<K, V> copy(const Dict<K, V>& dict) {
    return Dict<K, V>(dict.items());
}

} // namespace multifork

// Others change the dict between size() and begin().
template <class K, class V>
inline constexpr bool std::ranges::disable_sized_range<multifork::Dict<K, V>> = true;
