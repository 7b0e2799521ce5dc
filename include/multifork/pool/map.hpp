#pragma once

#include <multifork/pool/future.hpp>
#include <multifork/pool/pool_core.hpp>
#include <multifork/pool/task.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// \file
/// \internal Calls and maps as tasks: what the parent writes, what the worker runs, and what the
/// parent makes of the result.

namespace multifork::detail {

template <class F>
constexpr void check_crosses() {
    static_assert(Crossable<F>,
                  "what a Pool runs must cross into its workers: a function, or a closure that "
                  "captures nothing, or plain values; give the rest as arguments, or bind it with "
                  "multifork::bind_front(), which can carry strings, containers and handles");
}
template <class T>
constexpr void check_argument_crosses() {
    static_assert(Crossable<T>,
                  "an argument of what a Pool runs must cross into its workers: it must be "
                  "trivially copyable without addresses, known to the codec (std::string, "
                  "containers, structs of these, a serialize()), or a handle on a shared object; "
                  "for a const char* take std::string");
}
template <class R>
constexpr void check_result_crosses() {
    static_assert(std::is_void_v<R> || Crossable<Stored<R>>,
                  "the result of what a Pool runs must cross back: it must be trivially copyable "
                  "without addresses, known to the codec, or a handle on a shared object; it "
                  "cannot be a pointer");
}

/// \throws NotShareable, which speaks of workers
[[noreturn]] MULTIFORK_API void rethrow_for_pool(const NotShareable& error);

/// What a result is on its way: void is nothing.
template <class R>
void write_result(std::vector<std::byte>& bytes, const R& result) {
    ByteWriter writer(bytes);
    Cross<R>::write(writer, result);
}

// ---- one call

template <class R, class F, class... Args>
void run_call(TaskRun& run) {
    F f = Cross<F>::read(run.reader);
    std::tuple<Args...> args{Cross<Args>::read(run.reader)...}; // braces: in this order
    const auto call = [&]() -> R {
        return std::apply([&](Args&... each) -> R { return std::invoke(f, std::move(each)...); },
                          args);
    };
    if constexpr (std::is_void_v<R>)
        call();
    else
        write_result<R>(run.result, call());
}

template <class R>
class CallTask final : public PoolTask, public FutureSource {
public:
    explicit CallTask(std::weak_ptr<PoolCore> pool) : pool_(std::move(pool)) {}

    [[nodiscard]] const std::shared_ptr<FutureValue<R>>& future() const noexcept { return future_; }

    void done(std::span<const std::byte> result) override {
        if constexpr (std::is_void_v<R>) {
            future_->set_value({});
        } else {
            ByteReader reader(result);
            future_->set_value(Cross<R>::read(reader));
        }
    }
    void failed(std::exception_ptr error) noexcept override {
        try {
            future_->set_error(std::move(error));
        } catch (const InvalidState&) {
            // It has its result already, and a callback was the one who threw.
        }
    }
    bool cancel() override { return future_->cancel(); }
    bool withdraw() override {
        const auto pool = pool_.lock();
        return pool != nullptr && pool->withdraw(*this);
    }
    bool has_begun() override {
        const auto pool = pool_.lock();
        return pool == nullptr || pool->has_begun(*this);
    }

private:
    std::weak_ptr<PoolCore> pool_;
    std::shared_ptr<FutureValue<R>> future_ = std::make_shared<FutureValue<R>>();
};

template <class F, class... Args>
using CallResult = std::decay_t<std::invoke_result_t<F&, Args...>>;

template <class F, class... Args>
[[nodiscard]] auto submit_call(const std::shared_ptr<PoolCore>& pool, const F& f,
                               const Args&... args) -> Future<CallResult<F, Args...>> {
    using R = CallResult<F, Args...>;
    check_crosses<F>();
    (check_argument_crosses<Args>(), ...);
    check_result_crosses<R>();
    pool->check_open();

    auto task = std::make_shared<CallTask<R>>(pool);
    const arena::Cargo cargo;
    task->inline_bytes = pool->function_bytes(&run_call<R, F, Args...>);
    ByteWriter writer(task->inline_bytes);
    try {
        pack(writer, f);
        (pack(writer, args), ...);
    } catch (const NotShareable& error) {
        rethrow_for_pool(error);
    }
    if (task->inline_bytes.size() > core::inline_task_bytes || !cargo.empty()) {
        auto block = std::make_shared<TaskBlock>(pool->table().object(), task->inline_bytes.size());
        std::memcpy(block->data(), task->inline_bytes.data(), task->inline_bytes.size());
        block->publish(cargo);
        task->block = std::move(block);
        task->inline_bytes = {};
    }
    task->limit_ns = pool->options().task_limit.count();
    task->future()->set_source(task);
    Future<R> future(task->future());
    pool->submit(task);
    return future;
}

// ---- a map
//
// All its items lie in one block, and each chunk of them is a task:
//
//   function | MapLayout | the callable | inputs | results
//
// Inputs that are plain bytes lie there as an array, results likewise: workers write them into
// their places. Others are encoded: inputs behind a table of where each chunk begins, results in
// the task's own result.

struct MapLayout {
    std::uint64_t inputs = 0; ///< where they begin in the block
    std::uint64_t results = 0;
    std::uint64_t items = 0;
    std::uint64_t chunk_size = 0;
};

[[noreturn]] MULTIFORK_API void throw_bad_map();

template <class R>
inline constexpr bool in_place = Shareable<Stored<R>> && !std::is_void_v<R>;

template <class F, class T>
struct Plain {
    using Result = std::decay_t<std::invoke_result_t<F&, T>>;
    static decltype(auto) call(F& f, T&& item) { return std::invoke(f, std::move(item)); }
};
template <class F, class T>
struct Starred {
    using Result = std::decay_t<decltype(std::apply(std::declval<F&>(), std::declval<T>()))>;
    static decltype(auto) call(F& f, T&& item) { return std::apply(f, std::move(item)); }
};

template <class F, class T, class Way>
void run_chunk(TaskRun& run) {
    using R = typename Way::Result;
    MapLayout layout;
    run.reader(layout.inputs, layout.results, layout.items, layout.chunk_size);
    F f = Cross<F>::read(run.reader);

    const std::uint64_t size = run.bytes.size();
    // These words were read from shared memory: they must not lead beyond the block.
    const auto fits = [&](std::uint64_t at, std::size_t each) {
        return at <= size && layout.items <= (size - at) / each;
    };
    if (run.first > layout.items || run.count > layout.items - run.first || layout.chunk_size == 0)
        throw_bad_map();

    [[maybe_unused]] std::byte* results = nullptr;
    if constexpr (in_place<R>) {
        if (!fits(layout.results, sizeof(R)))
            throw_bad_map();
        results = run.bytes.data() + layout.results;
    }
    ByteWriter writer(run.result);
    const auto one = [&](T&& item) {
        if constexpr (std::is_void_v<R>) {
            Way::call(f, std::move(item));
        } else if constexpr (in_place<R>) {
            const R result = Way::call(f, std::move(item));
            std::memcpy(results + run.item * sizeof(R), &result, sizeof(R));
        } else {
            const R result = Way::call(f, std::move(item));
            Cross<R>::write(writer, result);
        }
    };
    if constexpr (Shareable<T>) {
        if (!fits(layout.inputs, sizeof(T)))
            throw_bad_map();
        const T* const inputs = reinterpret_cast<const T*>(run.bytes.data() + layout.inputs);
        for (run.item = run.first; run.item < run.first + run.count; ++run.item)
            one(T(inputs[run.item]));
    } else {
        const std::uint64_t chunk = run.first / layout.chunk_size;
        if (!fits(layout.inputs, 1) || (size - layout.inputs) / 8 <= chunk)
            throw_bad_map();
        std::uint64_t at = 0;
        std::memcpy(&at, run.bytes.data() + layout.inputs + chunk * 8, 8);
        if (at > size)
            throw_bad_map();
        ByteReader reader(run.bytes.subspan(at));
        for (run.item = run.first; run.item < run.first + run.count; ++run.item)
            one(Cross<T>::read(reader));
    }
}

template <class R>
using MapResult = std::conditional_t<std::is_void_v<R>, void, std::vector<Stored<R>>>;

/// What the chunks of one map have in common. Used by the collector alone, once it is submitted.
template <class R>
struct MapJob {
    std::shared_ptr<FutureValue<MapResult<R>>> future =
        std::make_shared<FutureValue<MapResult<R>>>();
    std::shared_ptr<const TaskBlock> block;
    std::uint64_t results = 0;
    std::size_t items = 0;
    std::size_t chunks_left = 0;
    std::size_t items_done = 0;
    std::vector<std::vector<Stored<R>>> parts; // by chunk, if they do not lie in the block
    std::exception_ptr error;                  // of the first item that has one
    std::uint64_t error_at = 0;
    std::function<void(std::size_t, std::size_t)> progress;

    void chunk_is_over(std::uint64_t count) {
        items_done += count;
        if (progress) {
            try {
                progress(items_done, items);
            } catch (...) {
                report_callback(std::current_exception());
            }
        }
        if (--chunks_left > 0)
            return;
        if (error != nullptr)
            future->set_error(error);
        else if constexpr (std::is_void_v<R>)
            future->set_value({});
        else
            future->set_value(collect());
        block.reset();
    }
    MapResult<R> collect() {
        if constexpr (std::is_void_v<R>) {
            return;
        } else if constexpr (in_place<R>) {
            if (items == 0)
                return {};
            const R* const all = reinterpret_cast<const R*>(block->data() + results);
            return std::vector<R>(all, all + items);
        } else {
            std::vector<R> all;
            all.reserve(items);
            for (auto& part : parts)
                std::move(part.begin(), part.end(), std::back_inserter(all));
            return all;
        }
    }
};

template <class R>
class ChunkTask final : public PoolTask {
public:
    ChunkTask(std::shared_ptr<MapJob<R>> job, std::size_t chunk)
        : job_(std::move(job)), chunk_(chunk) {}

    void done(std::span<const std::byte> result) override {
        if constexpr (!in_place<R> && !std::is_void_v<R>) {
            ByteReader reader(result);
            std::vector<R>& part = job_->parts[chunk_];
            part.clear();
            part.reserve(count);
            for (std::uint64_t i = 0; i < count; ++i)
                part.push_back(Cross<R>::read(reader));
        }
        over_ = true;
        job_->chunk_is_over(count);
    }
    void failed(std::exception_ptr error) noexcept override {
        if (std::exchange(over_, true))
            return;
        if (job_->error == nullptr || first < job_->error_at) {
            job_->error = std::move(error);
            job_->error_at = first;
        }
        try {
            job_->chunk_is_over(count);
        } catch (...) {
            report_callback(std::current_exception());
        }
    }

private:
    std::shared_ptr<MapJob<R>> job_;
    std::size_t chunk_;
    bool over_ = false;
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

/// \throws InvalidArgument unless it is positive
[[nodiscard]] MULTIFORK_API std::size_t chunk_size_of(const std::optional<std::int64_t>& asked,
                                                      std::size_t otherwise);

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

    const std::size_t items = static_cast<std::size_t>(std::ranges::size(inputs));
    const std::size_t chunk_size =
        chunk_size_of(options.chunk_size, items / (4 * pool->workers()) + 1);
    const std::size_t chunks = items / chunk_size + (items % chunk_size != 0 ? 1 : 0);

    auto job = std::make_shared<MapJob<R>>();
    job->items = items;
    job->chunks_left = chunks;
    job->progress = options.progress;
    Future<MapResult<R>> future(job->future);
    static_cast<void>(job->future->set_running()); // a map cannot be cancelled
    if (items == 0) {
        job->chunks_left = 1;
        job->progress = nullptr;
        job->chunk_is_over(0);
        return future;
    }

    // The beginning, with places that are known only when it is written.
    const arena::Cargo cargo;
    std::vector<std::byte> bytes = pool->function_bytes(&run_chunk<F, T, Way<F, T>>);
    const std::size_t layout_at = bytes.size();
    MapLayout layout;
    layout.items = items;
    layout.chunk_size = chunk_size;
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
        whole = layout.inputs + items * sizeof(T);
    } else {
        bytes.resize(bytes.size() + chunks * 8);
        std::size_t item = 0;
        for (auto&& input : inputs) {
            if (item % chunk_size == 0) {
                const std::uint64_t at = bytes.size();
                std::memcpy(bytes.data() + layout.inputs + item / chunk_size * 8, &at, 8);
            }
            ++item;
            const T& value = input;
            Cross<T>::write(writer, value);
        }
        whole = bytes.size();
    }
    if constexpr (in_place<R>) {
        layout.results = up_to_64(whole);
        whole = layout.results + items * sizeof(R);
        job->results = layout.results;
    } else if constexpr (!std::is_void_v<R>) {
        job->parts.resize(chunks);
    }
    std::memcpy(bytes.data() + layout_at, &layout, sizeof layout);

    auto block = std::make_shared<TaskBlock>(pool->table().object(), whole);
    std::memcpy(block->data(), bytes.data(), bytes.size());
    if constexpr (Shareable<T>) {
        std::byte* const to = block->data() + layout.inputs;
        if constexpr (std::ranges::contiguous_range<Inputs> &&
                      std::same_as<T, std::ranges::range_value_t<Inputs>>) {
            std::memcpy(to, std::ranges::data(inputs), items * sizeof(T));
        } else {
            std::size_t item = 0;
            for (auto&& input : inputs) {
                const T value = static_cast<T>(input);
                std::memcpy(to + item++ * sizeof(T), &value, sizeof(T));
            }
        }
    }
    block->publish(cargo);
    job->block = block;

    std::vector<std::shared_ptr<PoolTask>> tasks;
    tasks.reserve(chunks);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        auto task = std::make_shared<ChunkTask<R>>(job, chunk);
        task->block = block;
        task->first = chunk * chunk_size;
        task->count = std::min(chunk_size, items - chunk * chunk_size);
        task->limit_ns = pool->options().task_limit.count();
        tasks.push_back(std::move(task));
    }
    pool->submit(tasks);
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
