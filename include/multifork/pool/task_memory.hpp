#pragma once

#include <multifork/platform/export.hpp>

#include <cstddef>
#include <memory>

/// \file
/// \internal Memory for tasks and their futures. Twenty thousand of them come and go at once in a
/// stream of small tasks, made in one thread and often let go in another: that is what a general
/// allocator is slowest at, and it gives the pages back in between.

namespace multifork::detail {

/// \throws std::bad_alloc
[[nodiscard]] MULTIFORK_API void* take_task_memory(std::size_t bytes);
/// \param bytes  as it was taken
MULTIFORK_API void give_task_memory(void* memory, std::size_t bytes) noexcept;

template <class T>
struct TaskAllocator {
    using value_type = T;
    static constexpr bool is_aligned_more = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    TaskAllocator() noexcept = default;
    template <class U>
    TaskAllocator(const TaskAllocator<U>&) noexcept {} // NOLINT: allocators convert

    [[nodiscard]] T* allocate(std::size_t n) {
        if constexpr (is_aligned_more)
            return std::allocator<T>().allocate(n);
        else
            return static_cast<T*>(take_task_memory(n * sizeof(T)));
    }
    void deallocate(T* memory, std::size_t n) noexcept {
        if constexpr (is_aligned_more)
            std::allocator<T>().deallocate(memory, n);
        else
            give_task_memory(memory, n * sizeof(T));
    }

    template <class U>
    bool operator==(const TaskAllocator<U>&) const noexcept {
        return true;
    }
};

} // namespace multifork::detail
