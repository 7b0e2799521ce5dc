#pragma once

#include <multifork/pool/call.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/map_job.hpp>
#include <multifork/pool/map_run.hpp>
#include <multifork/pool/pool_core.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

/// \file
/// \internal A map as the parent writes it, and what it makes of the results.

namespace multifork::detail {

template <class R>
using MapResult = std::conditional_t<std::is_void_v<R>, void, std::vector<Stored<R>>>;

template <class R>
class MapOf final : public MapJob {
public:
    using MapJob::MapJob;

    [[nodiscard]] const std::shared_ptr<FutureValue<MapResult<R>>>& future() const noexcept {
        return future_;
    }
    /// A map of nothing.
    void finish_empty() { finish(nullptr); }

private:
    void take_chunk([[maybe_unused]] std::uint64_t items,
                    [[maybe_unused]] std::span<const std::byte> bytes) override {
        if constexpr (!in_place<R> && !std::is_void_v<R>) {
            all_.reserve(layout().items);
            ByteReader reader(bytes);
            for (std::uint64_t i = 0; i < items; ++i)
                all_.push_back(Cross<R>::read(reader));
        }
    }
    void finish(std::exception_ptr error) override {
        if (error != nullptr)
            future_->set_error(std::move(error));
        else if constexpr (std::is_void_v<R>)
            future_->set_value({});
        else
            future_->set_value(collect());
    }
    MapResult<R> collect() {
        if constexpr (std::is_void_v<R>) {
            return;
        } else if constexpr (in_place<R>) {
            if (layout().items == 0)
                return {};
            const R* const all = reinterpret_cast<const R*>(results());
            return std::vector<R>(all, all + layout().items);
        } else {
            return std::move(all_);
        }
    }

    std::shared_ptr<FutureValue<MapResult<R>>> future_ =
        std::make_shared<FutureValue<MapResult<R>>>();
    MapResult<std::conditional_t<std::is_void_v<R>, char, R>> all_; // if they are encoded
};

/// What an item is on its way: that of a std::map has a constant key, which could not be read.
template <class T>
struct ItemOf {
    using type = T;
};
template <class K, class V>
struct ItemOf<std::pair<const K, V>> {
    using type = std::pair<K, V>;
};
template <class Range>
using Item = typename ItemOf<std::ranges::range_value_t<Range>>::type;

[[nodiscard]] inline constexpr std::size_t up_to_64(std::size_t n) {
    return (n + 63) / 64 * 64;
}

/// What chunk size a map has that is not told: such that each worker gets about sixteen chunks, of
/// which it claims several at a time if they are short.
[[nodiscard]] inline constexpr std::size_t automatic_chunk(std::uint64_t items,
                                                           std::size_t workers) {
    return static_cast<std::size_t>(items / (16 * workers)) + 1;
}

/// \throws InvalidArgument unless it is positive
[[nodiscard]] MULTIFORK_API std::size_t chunk_size_of(const std::optional<std::int64_t>& asked,
                                                      std::size_t otherwise);

/// \throws OutOfSharedMemory for so many items that the size of their block could not be told
MULTIFORK_API void check_map_size(std::uint64_t items, std::size_t bytes_each);

[[noreturn]] MULTIFORK_API void throw_size_changed(std::uint64_t counted);

/// Goes through a range whose elements have been counted, and for which there is as much room. An
/// Array that another process resizes ends elsewhere the second time.
/// \throws InvalidArgument when there are fewer, or more
template <class Inputs, class F>
void for_each_counted(Inputs& inputs, std::uint64_t count, F f) {
    std::uint64_t item = 0;
    for (auto&& input : inputs) {
        if (item == count)
            throw_size_changed(count);
        f(item, input);
        ++item;
    }
    if (item < count)
        throw_size_changed(count);
}

/// Inputs that are encoded, behind the table of where each chunk begins.
template <class T, class Inputs>
void write_inputs(std::vector<std::byte>& bytes, const MapLayout& layout, Inputs&& inputs) {
    bytes.resize(bytes.size() + layout.chunks() * 8);
    ByteWriter writer(bytes);
    for_each_counted(inputs, layout.items, [&](std::uint64_t item, auto&& input) {
        if (item % layout.chunk_size == 0) {
            const std::uint64_t at = bytes.size();
            std::memcpy(bytes.data() + layout.inputs + item / layout.chunk_size * 8, &at, 8);
        }
        const T& value = input;
        Cross<T>::write(writer, value);
    });
}

/// \param inputs  a sized range that can be gone through once
template <template <class, class> class Way, class F, class Inputs>
[[nodiscard]] auto submit_map(const std::shared_ptr<PoolCore>& pool, const F& f, Inputs&& inputs,
                              const MapOptions& options) {
    using T = Item<Inputs>;
    check_crosses<F>();
    check_argument_crosses<T>();
    using R = typename Way<F, T>::Result;
    check_result_crosses<R>();
    static_assert(alignof(T) <= 64 && alignof(Stored<R>) <= 64,
                  "items of a map are aligned to 64 bytes at most");
    pool->check_open();

    auto job = std::make_shared<MapOf<R>>(pool->table(), options.progress);
    Future<MapResult<R>> future(job->future());
    static_cast<void>(job->future()->set_running()); // a map cannot be cancelled
    MapLayout layout;
    layout.items = static_cast<std::uint64_t>(std::ranges::size(inputs));
    // An item, its result, and the word of its chunk.
    check_map_size(layout.items, sizeof(T) + sizeof(Stored<R>) + 8);
    layout.chunk_size =
        chunk_size_of(options.chunk_size, automatic_chunk(layout.items, pool->workers()));
    layout.shares = std::min<std::uint64_t>(pool->workers(), layout.chunks());
    layout.first_position = MapJob::positions(layout.chunks());
    layout.tell = options.progress ? 1 : 0;
    if (layout.items == 0) {
        job->finish_empty();
        return future;
    }

    // The beginning, with places that are known only when it is written.
    const arena::Cargo cargo;
    const auto first = bytes_of_function<&run_map<F, T, Way<F, T>>>();
    std::vector<std::byte> bytes(first.begin(), first.end());
    const std::size_t layout_at = bytes.size();
    bytes.resize(layout_at + sizeof layout);
    ByteWriter writer(bytes);
    try {
        pack(writer, f);
    } catch (const NotShareable& error) {
        rethrow_for_pool(error);
    }
    bytes.resize(up_to_64(bytes.size()));
    layout.inputs = bytes.size();
    std::size_t whole = 0;
    if constexpr (Shareable<T>) {
        whole = layout.inputs + layout.items * sizeof(T);
    } else {
        write_inputs<T>(bytes, layout, inputs);
        whole = bytes.size();
    }
    if constexpr (in_place<R>) {
        layout.results = up_to_64(whole);
        whole = layout.results + layout.items * sizeof(R);
    }
    layout.claims = up_to_64(whole);
    whole = layout.claims +
            core::Claims::bytes(static_cast<std::uint32_t>(layout.shares), layout.chunks());
    std::memcpy(bytes.data() + layout_at, &layout, sizeof layout);

    auto block = std::make_shared<TaskBlock>(pool->table().object(), whole);
    std::memcpy(block->data(), bytes.data(), bytes.size());
    if constexpr (Shareable<T>) {
        std::byte* const to = block->data() + layout.inputs;
        if constexpr (std::ranges::contiguous_range<Inputs> &&
                      std::same_as<T, std::ranges::range_value_t<Inputs>>) {
            std::memcpy(to, std::ranges::data(inputs), layout.items * sizeof(T));
        } else {
            for_each_counted(inputs, layout.items, [&](std::uint64_t item, auto&& input) {
                const T value = static_cast<T>(input);
                std::memcpy(to + item * sizeof(T), &value, sizeof(T));
            });
        }
    }
    block->publish(cargo);
    job->begin(block, layout);
    pool->submit_map(job);
    return future;
}

/// The inputs in a form that has a size; views that have one are taken as they are.
template <class Inputs>
[[nodiscard]] decltype(auto) with_size(Inputs& inputs) {
    if constexpr (std::ranges::sized_range<Inputs>) {
        return (inputs);
    } else {
        std::vector<Item<Inputs>> all;
        for (auto&& input : inputs)
            all.push_back(static_cast<Item<Inputs>>(input));
        return all;
    }
}

/// The result of a future that nobody else has.
template <class T>
T take(const Future<T>& future) {
    if constexpr (std::is_void_v<T>) {
        future.get();
    } else {
        static_cast<void>(future.get());
        return std::move(future.shared_state()->value());
    }
}

} // namespace multifork::detail
