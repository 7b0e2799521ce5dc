#pragma once

#include <multifork/pool/checks.hpp>
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
void run_call(TaskRun& run) {
    F f = Cross<F>::read(run.reader);
    std::tuple<Arriving<Args>...> args{Cross<Arriving<Args>>::read(run.reader)...}; // in this order
    const auto call = [&]() -> R {
        return std::apply(
            [&](Arriving<Args>&... each) -> R { return std::invoke(f, detail::pass(each)...); },
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

/// Where the bytes of this function are known, when it has been submitted once.
template <class R, class F, class... Args>
inline constinit std::atomic<const FunctionBytes*> known_function{nullptr};

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
    const arena::Cargo cargo;
    const Scratch bytes;
    pool->write_function(*bytes, &run_call<R, F, Args...>, known_function<R, F, Args...>);
    ByteWriter writer(*bytes);
    try {
        pack(writer, f);
        (pack_argument(writer, args), ...);
    } catch (const NotShareable& error) {
        rethrow_for_pool(error);
    }
    if (bytes->size() <= core::inline_task_bytes && cargo.empty()) {
        task->bytes.assign(*bytes);
    } else {
        auto block = std::make_shared<TaskBlock>(pool->table().object(), bytes->size());
        std::memcpy(block->data(), bytes->data(), bytes->size());
        block->publish(cargo);
        task->block = std::move(block);
    }
    task->limit_ns = pool->options().task_limit.count();
    Future<R> future(CallTask<R>::future_of(task));
    pool->submit(std::move(task));
    return future;
}

} // namespace multifork::detail
