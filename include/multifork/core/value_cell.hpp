#pragma once

#include <multifork/platform/mutant.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// A value of any trivially copyable type, readable at any moment and replaced by one store.
//
// When the machine can store a T at once, the cell is the T itself:
//
//   offset 0   the T                     every change is one store
//
// Otherwise there are two copies, and a word that says which one counts:
//
//   offset 0   current (0 or 1)          one store commits a replacement
//          8   copy 0, then copy 1       in 8-byte words
//
// replace() writes the copy that does not count, under the lock that goes with the cell, and
// commits by `current`. A writer that dies before that leaves the old value, after it the new one.
//
// The racy accesses go word by word, relaxed: they may tear a large T, which is the point of
// showing a race, but they are never undefined behaviour.

namespace multifork::core {

/// A T that one instruction loads and stores.
template <class T>
concept StoredAtOnce = sizeof(T) <= 8 && (sizeof(T) & (sizeof(T) - 1)) == 0 &&
                       alignof(T) <= sizeof(T) && std::atomic_ref<T>::is_always_lock_free;

template <class T>
class ValueCell {
public:
    static constexpr std::size_t words = (sizeof(T) + 7) / 8;
    using Copy = std::array<std::atomic<std::uint64_t>, words>;

    void init(const T& value) noexcept { write(copies_[0], value); }

    /// Racy: relaxed, word by word.
    [[nodiscard]] T load_racy() const noexcept { return read(copies_[which()]); }
    void store_racy(const T& value) noexcept { write(copies_[which()], value); }

    /// Under the cell's lock: all or nothing, whenever the writer dies.
    void replace(const T& value) noexcept {
        const std::uint64_t next = which() ^ 1;
        if (MULTIFORK_MUTANT(torn_update))
            return write(copies_[next ^ 1], value);
        write(copies_[next], value);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        // release: pairs with the acquire in which(), for readers without the lock. COMMIT.
        current_.store(next, std::memory_order_release);
    }

private:
    // & 1: the word may have been overwritten
    [[nodiscard]] std::uint64_t which() const noexcept {
        return current_.load(std::memory_order_acquire) & 1;
    }
    static T read(const Copy& copy) noexcept {
        std::array<std::uint64_t, words> bytes;
        for (std::size_t i = 0; i < words; ++i)
            bytes[i] = copy[i].load(std::memory_order_relaxed);
        std::array<std::byte, sizeof(T)> exact;
        std::memcpy(exact.data(), bytes.data(), sizeof(T));
        return std::bit_cast<T>(exact);
    }
    static void write(Copy& copy, const T& value) noexcept {
        std::array<std::uint64_t, words> bytes{};
        std::memcpy(bytes.data(), &value, sizeof(T));
        for (std::size_t i = 0; i < words; ++i)
            copy[i].store(bytes[i], std::memory_order_relaxed);
    }

    std::atomic<std::uint64_t> current_;
    std::array<Copy, 2> copies_;
};

/// What std::atomic_ref is to a T, for one that is less aligned than it is long (a struct of two
/// ints): compilers call a library for those, so it is kept as an integer of the same length.
template <StoredAtOnce T>
class AtomicBytes {
public:
    using Word =
        std::conditional_t<sizeof(T) == 2, std::uint16_t,
                           std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;

    explicit AtomicBytes(Word& word) noexcept : word_(word) {}
    [[nodiscard]] T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
        return to_value(word_.load(order));
    }
    void store(const T& value, std::memory_order order = std::memory_order_seq_cst) const noexcept {
        word_.store(to_word(value), order);
    }
    T exchange(const T& value) const noexcept { return to_value(word_.exchange(to_word(value))); }
    bool compare_exchange_strong(T& expected, const T& desired) const noexcept {
        Word seen = to_word(expected);
        const bool done = word_.compare_exchange_strong(seen, to_word(desired));
        expected = to_value(seen);
        return done;
    }

private:
    static Word to_word(const T& value) noexcept {
        Word word = 0;
        std::memcpy(&word, &value, sizeof(T));
        return word;
    }
    static T to_value(Word word) noexcept {
        std::array<std::byte, sizeof(T)> bytes;
        std::memcpy(bytes.data(), &word, sizeof(T));
        return std::bit_cast<T>(bytes);
    }
    std::atomic_ref<Word> word_;
};

template <StoredAtOnce T>
class ValueCell<T> {
public:
    void init(const T& value) noexcept { store_racy(value); }
    [[nodiscard]] T load_racy() const noexcept { return ref().load(std::memory_order_relaxed); }
    void store_racy(const T& value) noexcept { ref().store(value, std::memory_order_relaxed); }
    /// release: pairs with an acquire load of atomic()
    void replace(const T& value) noexcept { ref().store(value, std::memory_order_release); }
    /// std::atomic_ref, or what has its interface
    [[nodiscard]] auto atomic() noexcept { return ref(); }

private:
    static constexpr bool as_it_is = alignof(T) == sizeof(T);
    using Reference = std::conditional_t<as_it_is, std::atomic_ref<T>, AtomicBytes<T>>;
    using Stored = std::conditional_t<as_it_is, T, typename AtomicBytes<T>::Word>;

    [[nodiscard]] Reference ref() const noexcept { return Reference(value_); }
    alignas(sizeof(T)) mutable Stored value_;
};

} // namespace multifork::core
