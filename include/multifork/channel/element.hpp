#pragma once

#include <multifork/core/element.hpp>
#include <multifork/error.hpp>
#include <multifork/format.hpp>
#include <multifork/memory/shareable.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <span>
#include <type_traits>
#include <vector>

namespace multifork {

/// What `array[i]` and RawValue::value() give: one shared T without any lock.
///
/// Reading is a relaxed load, writing a relaxed store, and `x += 1` is the one and then the other:
/// two processes that do it at once lose updates. That is a race by design, never undefined
/// behaviour. For a T that the machine stores at once the atomic operations are there as well.
template <Shareable T>
class Element {
public:
    explicit Element(T* at) noexcept : at_(at) {}
    Element(const Element&) noexcept = default;

    operator T() const noexcept { // implicit: it reads like the value
        std::atomic_signal_fence(std::memory_order_seq_cst);
        const T seen = core::load_element(at_);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        return seen;
    }
    const Element& operator=(const T& value) const noexcept {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        core::store_element(at_, value);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        return *this;
    }
    const Element& operator=(const Element& other) const noexcept {
        return *this = static_cast<T>(other);
    }

    // clang-format off
    template <class U> const Element& operator+=(const U& u) const { return *this = static_cast<T>(get() + u); }
    template <class U> const Element& operator-=(const U& u) const { return *this = static_cast<T>(get() - u); }
    template <class U> const Element& operator*=(const U& u) const { return *this = static_cast<T>(get() * u); }
    template <class U> const Element& operator/=(const U& u) const { return *this = static_cast<T>(get() / u); }
    // clang-format on
    const Element& operator++() const { return *this += 1; }
    const Element& operator--() const { return *this -= 1; }

    [[nodiscard]] T get() const noexcept { return *this; }

    /// \name Atomic, for a T that the machine stores at once; sequentially consistent
    /// @{
    [[nodiscard]] T load() const noexcept requires core::StoredAtOnce<T> { return atomic().load(); }
    void store(const T& desired) const noexcept requires core::StoredAtOnce<T> {
        atomic().store(desired);
    }
    T exchange(const T& desired) const noexcept requires core::StoredAtOnce<T> {
        return atomic().exchange(desired);
    }
    /// As Value::compare_exchange().
    bool compare_exchange(T& expected,
                          const T& desired) const noexcept requires core::StoredAtOnce<T> &&
        (std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>) {
        return atomic().compare_exchange_strong(expected, desired);
    }
    /// Adds, and gives the value before.
    T fetch_add(T amount) const noexcept requires core::StoredAtOnce<T> &&
        (std::integral<T> || std::floating_point<T>)&&(!std::same_as<T, bool>) {
        return atomic().fetch_add(amount);
    }
    T fetch_sub(T amount) const noexcept requires core::StoredAtOnce<T> &&
        (std::integral<T> || std::floating_point<T>)&&(!std::same_as<T, bool>) {
        return atomic().fetch_sub(amount);
    }
    T fetch_and(T bits) const noexcept requires core::StoredAtOnce<T> && std::integral<T> &&
        (!std::same_as<T, bool>) {
        return atomic().fetch_and(bits);
    }
    T fetch_or(T bits) const noexcept requires core::StoredAtOnce<T> && std::integral<T> &&
        (!std::same_as<T, bool>) {
        return atomic().fetch_or(bits);
    }
    T fetch_xor(T bits) const noexcept requires core::StoredAtOnce<T> && std::integral<T> &&
        (!std::same_as<T, bool>) {
        return atomic().fetch_xor(bits);
    }
    /// @}

private:
    [[nodiscard]] auto atomic() const noexcept {
        return reinterpret_cast<core::ValueCell<T>*>(at_)->atomic();
    }
    T* at_;
};

namespace detail {
[[noreturn]] MULTIFORK_API void throw_no_element(std::size_t index, std::size_t size);
[[noreturn]] MULTIFORK_API void throw_no_elements(std::size_t first, std::size_t last,
                                                  std::size_t size);
} // namespace detail

/// What Array and RawArray have in common: elements in a row. `Self` has size() and data().
template <class Self, Shareable T>
class Elements {
public:
    /// The elements there are now, for any algorithm, without a copy and without a lock: whoever
    /// else writes at the same time must be kept out by a lock. Stays valid as long as the handle,
    /// also when the array grows.
    [[nodiscard]] std::span<T> view() const noexcept { return {self().data(), self().size()}; }
    [[nodiscard]] T* begin() const noexcept { return self().data(); }
    [[nodiscard]] T* end() const noexcept { return self().data() + self().size(); }
    [[nodiscard]] bool empty() const noexcept { return self().size() == 0; }

    /// Element `index`, unsynchronised and unchecked.
    [[nodiscard]] Element<T> operator[](std::size_t index) const noexcept {
        return Element<T>(self().data() + index);
    }
    /// Element `index`. \throws InvalidArgument when there is none
    [[nodiscard]] Element<T> at(std::size_t index) const {
        if (index >= self().size()) [[unlikely]]
            detail::throw_no_element(index, self().size());
        return (*this)[index];
    }

protected:
    void check_range(std::size_t first, std::size_t last) const {
        if (first > last || last > self().size()) [[unlikely]]
            detail::throw_no_elements(first, last, self().size());
    }
    [[nodiscard]] std::vector<T> copy_of(std::size_t first, std::size_t last) const {
        check_range(first, last);
        std::vector<T> copy;
        copy.reserve(last - first);
        for (; first < last; ++first)
            copy.push_back((*this)[first]);
        return copy;
    }
    /// The first `count` of them. Counted once, by who makes room for them: the values of an Array
    /// may be more the next time somebody looks.
    template <class Values>
    void write(std::size_t first, const Values& values, std::size_t count) const {
        if (first > self().size() || count > self().size() - first) [[unlikely]]
            detail::throw_no_elements(first, first + count, self().size());
        auto value = std::ranges::begin(values);
        for (const std::size_t last = first + count; first < last; ++first, ++value)
            (*this)[first] = static_cast<T>(*value);
    }

    template <class Values>
    [[nodiscard]] static std::size_t count_of(const Values& values) {
        return static_cast<std::size_t>(std::ranges::distance(values));
    }

private:
    [[nodiscard]] const Self& self() const noexcept { return static_cast<const Self&>(*this); }
};

/// A range whose elements can become T.
template <class R, class T>
concept RangeOf =
    std::ranges::forward_range<R> && std::convertible_to<std::ranges::range_reference_t<R>, T>;

} // namespace multifork
