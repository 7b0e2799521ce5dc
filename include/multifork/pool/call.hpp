#pragma once

#include <multifork/pool/checks.hpp>
#include <multifork/pool/flat_call.hpp>
#include <multifork/pool/pool_core.hpp>
#include <multifork/pool/task.hpp>
#include <multifork/pool/task_memory.hpp>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

/// \file
/// \internal One call as a task: what the parent writes, what the worker runs, and what the parent
/// makes of the result.

namespace multifork::detail {

template <class R, class F, class... Args>
void run_with(TaskRun& run, F& f, Args&... args) {
    if constexpr (std::is_void_v<R>)
        std::invoke(f, detail::pass(args)...);
    else
        write_result<R>(run.result, std::invoke(f, detail::pass(args)...));
}

template <class R, class F, class... Args>
void run_call(TaskRun& run) {
    ByteReader reader(run.rest);
    F f = Cross<F>::read(reader);
    std::tuple<Arriving<Args>...> args{Cross<Arriving<Args>>::read(reader)...}; // in this order
    std::apply([&](Arriving<Args>&... each) { run_with<R>(run, f, each...); }, args);
}

template <class R, class F, class... Args>
void run_flat_call(TaskRun& run) {
    std::tuple<F, Args...> call = read_flat<F, Args...>(run.rest);
    std::apply([&](F& f, Args&... each) { run_with<R>(run, f, each...); }, call);
}

template <class R>
class CallTask final : public PoolTask, public FutureSource {
public:
    explicit CallTask(std::weak_ptr<PoolCore> pool) : pool_(std::move(pool)), future_(*this) {}

    /// The future's state is a part of the task: one allocation for both.
    [[nodiscard]] static std::shared_ptr<FutureValue<R>>
    future_of(const std::shared_ptr<CallTask>& task) noexcept {
        return {task, &task->future_};
    }

    void done(std::span<const std::byte> result) override {
        if constexpr (std::is_void_v<R>) {
            future_.set_value({});
        } else {
            future_.set_value(read_result<R>(result));
        }
    }
    void failed(std::exception_ptr error) noexcept override {
        try {
            future_.set_error(std::move(error));
        } catch (const InvalidState&) {
            // It has its result already, and a callback was the one who threw.
        }
    }
    bool cancel() override { return future_.cancel(); }
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
    FutureValue<R> future_;
};

/// \return false when it takes an archive
template <class R, class F, class... Args>
[[nodiscard]] bool write_flat_call(TaskBytes& bytes, const F& f, const Args&... args) {
    if constexpr (is_flat<F, Args...>) {
        const auto first = bytes_of_function<&run_flat_call<R, F, Args...>>();
        const std::size_t size = first.size() + flat_bytes<F, Args...>;
        if (size > core::inline_task_bytes)
            return false;
        std::byte* const to = bytes.make(size);
        std::memcpy(to, first.data(), first.size());
        return write_flat(to + first.size(), f, args...);
    } else {
        return false;
    }
}

/// \throws NotShareable, OutOfSharedMemory, what a serialize() throws
template <class R, class F, class... Args>
void write_call(PoolTask& task, const PoolTable& table, const F& f, const Args&... args) {
    if (write_flat_call<R>(task.bytes, f, args...))
        return;
    const arena::Cargo cargo;
    const Scratch bytes;
    const auto first = bytes_of_function<&run_call<R, F, Args...>>();
    bytes->assign(first.begin(), first.end());
    ByteWriter writer(*bytes);
    pack(writer, f);
    (pack_argument(writer, args), ...);
    if (bytes->size() <= core::inline_task_bytes && cargo.empty()) {
        std::memcpy(task.bytes.make(bytes->size()), bytes->data(), bytes->size());
        return;
    }
    auto block = std::make_shared<TaskBlock>(table.object(), bytes->size());
    std::memcpy(block->data(), bytes->data(), bytes->size());
    block->publish(cargo);
    task.block = std::move(block);
}

template <class F, class... Args>
using CallResult = std::decay_t<std::invoke_result_t<F&, Args...>>;

template <class F, class... Args>
[[nodiscard]] auto submit_call(const std::shared_ptr<PoolCore>& pool, const F& f,
                               const Args&... args) -> Future<CallResult<F, Args...>> {
    using R = CallResult<F, Args...>;
    check_crosses<F>();
    (check_argument_crosses<Arriving<Args>>(), ...);
    check_result_crosses<R>();

    auto task = std::allocate_shared<CallTask<R>>(TaskAllocator<CallTask<R>>(), pool);
    try {
        write_call<R>(*task, pool->table(), f, args...);
    } catch (const NotShareable& error) {
        rethrow_for_pool(error);
    }
    task->limit_ns = pool->options().task_limit.count();
    Future<R> future(CallTask<R>::future_of(task));
    pool->submit(std::move(task));
    return future;
}

} // namespace multifork::detail
