#pragma once

#include <multifork/channel/container.hpp>
#include <multifork/core/dict_table.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace multifork::detail {

[[noreturn]] MULTIFORK_API void throw_no_key(const char* what, const std::string& key);

/// A key as its bytes: what is hashed and compared.
struct KeyBytes {
    /// \param word  the key as it lies in a table, if keys are words
    KeyBytes(std::span<const std::byte> key, std::uint64_t key_word) noexcept
        : bytes(key), word(key_word), hash(core::stable_hash(key)) {}

    std::span<const std::byte> bytes;
    std::uint64_t word;
    std::uint64_t hash;
};

/// The entries of a Dict, whatever its keys and values are. All but the constructor is to be called
/// with the lock held (Container::Guard). What throws has changed nothing.
class MULTIFORK_API DictStore final : public Container {
public:
    /// \param key_blocks, value_blocks  whether these words name blocks
    DictStore(arena::Object object, bool key_blocks, bool value_blocks, const char* what) noexcept
        : Container(std::move(object), what), key_blocks_(key_blocks), value_blocks_(value_blocks) {
    }

    /// \throws CorruptSharedMemory
    [[nodiscard]] std::size_t size() const;
    /// The number of the key's entry, until the next change. \throws CorruptSharedMemory
    [[nodiscard]] std::optional<std::size_t> find(const KeyBytes& key) const;
    [[nodiscard]] std::optional<std::size_t> last() const;
    [[nodiscard]] std::uint64_t key_at(std::size_t entry) const;
    [[nodiscard]] std::uint64_t value_at(std::size_t entry) const;
    /// Calls `visit(key word, value word)` for each entry, in their order.
    template <class Visit>
    void for_each(Visit visit) const {
        if (const auto now = view())
            for (std::uint64_t i = 0; i < now->used(); ++i)
                if (now->is_live(i)) // relaxed: under the lock
                    visit(now->entry(i).key.load(std::memory_order_relaxed),
                          now->entry(i).value.load(std::memory_order_relaxed));
    }

    /// Replaces the value of an entry that find() gave.
    void replace(std::size_t entry, Incoming& value);
    /// Adds a key that is not there. \throws OutOfSharedMemory
    void insert(const KeyBytes& key, Incoming& value);
    /// One or the other. \throws OutOfSharedMemory
    void set(const KeyBytes& key, Incoming& value);
    /// Takes out an entry that find() gave. Needs no memory.
    void erase(std::size_t entry);
    void clear();

    struct Item {
        KeyBytes key;
        Incoming value;
    };
    /// Sets all of them, in one step; of equal keys the last counts. \throws OutOfSharedMemory
    void update(std::span<Item> items);

private:
    class NewTable;

    [[nodiscard]] std::optional<core::DictView> view() const;
    [[nodiscard]] Incoming incoming_key(const KeyBytes& key) const;
    [[nodiscard]] bool is_key(std::uint64_t word, const KeyBytes& key) const;
    [[nodiscard]] std::optional<std::uint64_t> find_in(const core::DictView& table,
                                                       const KeyBytes& key) const;
    [[nodiscard]] std::vector<std::uint64_t> blocks_of(const core::DictView& table) const;
    [[nodiscard]] std::vector<std::uint64_t> mend() const override;

    bool key_blocks_;
    bool value_blocks_;
};

} // namespace multifork::detail
