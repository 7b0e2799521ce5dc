#pragma once

#include <multifork/channel/container.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace multifork::detail {

/// The place that an index means, negative ones counted from the end.
/// \throws InvalidArgument when there is no such element
[[nodiscard]] MULTIFORK_API std::size_t list_place(std::ptrdiff_t index, std::size_t size,
                                                   const char* operation);
/// The same, cut to what there is, as Python cuts slices.
[[nodiscard]] MULTIFORK_API std::size_t list_clip(std::ptrdiff_t index, std::size_t size) noexcept;
/// \throws InvalidArgument
MULTIFORK_API void check_repeat(std::size_t size, std::ptrdiff_t times);

/// The words of a List, whatever its elements are. All but the constructor is to be called with the
/// lock held (Container::Guard). What throws has changed nothing.
class MULTIFORK_API ListStore final : public Container {
public:
    /// \param blocks  whether the words name blocks
    ListStore(arena::Object object, bool blocks) noexcept
        : Container(std::move(object), "List"), blocks_(blocks) {}

    /// \throws CorruptSharedMemory
    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(view().count); }
    /// The words, until the next change. \throws CorruptSharedMemory
    [[nodiscard]] std::span<const core::ContainerWord> words() const;

    /// All of them or none. \throws OutOfSharedMemory, CorruptSharedMemory
    void append(std::span<Incoming> elements);
    /// \param i  below size()
    void replace(std::size_t i, Incoming& element);
    /// Puts `elements` in the place of those from `first` to before `last`.
    /// \throws OutOfSharedMemory, CorruptSharedMemory
    void splice(std::size_t first, std::size_t last, std::span<Incoming> elements);
    /// Makes room for so many elements in all. \throws OutOfSharedMemory, CorruptSharedMemory
    void reserve(std::size_t count);
    /// Leaves the first `count` elements. Needs no memory.
    void cut(std::size_t count);
    /// Puts the elements into another order: `order[i]` says which one comes to place i.
    /// \throws OutOfSharedMemory, CorruptSharedMemory
    void arrange(std::span<const std::size_t> order);

private:
    /// A table whose sizes were checked: what it says about itself is not read again.
    struct View {
        core::ListTable* table = nullptr;
        std::uint64_t capacity = 0;
        std::uint64_t count = 0;
        [[nodiscard]] core::ContainerWord* words() const { return table->words(); }
    };
    /// A table that the thread owns until it becomes the root.
    class NewTable;

    [[nodiscard]] View view() const;
    [[nodiscard]] std::vector<std::uint64_t> words_of_blocks(const View& now, std::uint64_t first,
                                                             std::uint64_t last) const;
    [[nodiscard]] std::vector<std::uint64_t> mend() const override;

    bool blocks_;
};

} // namespace multifork::detail
