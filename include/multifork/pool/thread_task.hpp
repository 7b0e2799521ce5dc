#pragma once

#include <multifork/pool/future.hpp>
#include <multifork/pool/map.hpp>
#include <multifork/pool/pool_front.hpp>
#include <multifork/pool/thread_core.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// \file
/// \internal Calls and maps as tasks of a pool of threads: the twin of map.hpp. Nothing is encoded;
/// what a task is made of is moved or copied once, when it is submitted.

namespace multifork::detail {

// ---- one call

template <class R, class F, class... Args>
class ThreadCall final : public ThreadTask {
public:
    template <class G, class... As>
    explicit ThreadCall(std::in_place_t, G&& f, As&&... args)
        : work_(std::in_place, std::forward<G>(f), std::tuple<Args...>(std::forward<As>(args)...)) {
    }

    [[nodiscard]] const std::shared_ptr<FutureValue<R>>& future() const noexcept { return future_; }

    bool run() override {
        if (!future_->set_running()) {
            cancelled_ = true;
            return false;
        }
        // What it is made of is gone before its result is there.
        auto [f, args] = *std::exchange(work_, std::nullopt);
        const auto call = [&f = f](Args&... each) -> R {
            return std::invoke(f, std::move(each)...);
        };
        if constexpr (std::is_void_v<R>) {
            std::apply(call, args);
            result_.emplace();
        } else {
            result_.emplace(std::apply(call, args));
        }
        return false;
    }
    bool failed(std::exception_ptr error) noexcept override {
        error_ = std::move(error);
        return false;
    }
    void tell() override {
        if (cancelled_)
            return;
        if (error_ == nullptr) {
            try {
                future_->set_value(std::move(*result_));
                return;
            } catch (...) { // of its move constructor
                error_ = std::current_exception();
            }
        }
        drop(std::move(error_));
    }
    void drop(std::exception_ptr error) noexcept override {
        try {
            future_->set_error(std::move(error));
        } catch (const InvalidState&) {
            // It was cancelled.
        }
    }
    bool cancel() override { return future_->cancel(); }

private:
    std::optional<std::pair<F, std::tuple<Args...>>> work_;
    std::optional<Stored<R>> result_;
    std::exception_ptr error_;
    bool cancelled_ = false;
    std::shared_ptr<FutureValue<R>> future_ = std::make_shared<FutureValue<R>>();
};

// ---- a map
//
// All its items lie in one MapWork. As many helpers as can run at once are put into the row; each
// takes the next chunk until none is left. The one that ends the last chunk makes the future ready.

/// Results in places of their own, which several threads fill at once.
template <class R>
class MapPlaces {
    static constexpr bool plain = std::is_trivially_default_constructible_v<R> &&
                                  !std::same_as<R, bool>; // vector<bool> packs them
public:
    explicit MapPlaces(std::size_t items) : places_(items) {}
    template <class Make>
    void put(std::size_t item, Make make) {
        if constexpr (plain)
            places_[item] = make();
        else
            places_[item].emplace(make());
    }
    [[nodiscard]] std::vector<R> take() {
        if constexpr (plain) {
            return std::move(places_);
        } else {
            std::vector<R> all;
            all.reserve(places_.size());
            for (auto& place : places_)
                all.push_back(std::move(*place));
            return all;
        }
    }

private:
    std::vector<std::conditional_t<plain, R, std::optional<R>>> places_;
};
template <>
class MapPlaces<void> {
public:
    explicit MapPlaces(std::size_t) {}
    template <class Make>
    void put(std::size_t, Make make) {
        make();
    }
    [[nodiscard]] std::monostate take() { return {}; }
};

/// Whether a function can be called as a constant with an item.
template <template <class, class> class Way, class F, class T>
inline constexpr bool called_as_constant = std::invocable<const F&, T>;
template <class F, class T>
inline constexpr bool called_as_constant<Starred, F, T> = [
]<std::size_t... I>(std::index_sequence<I...>) {
    return std::invocable<const F&, decltype(std::get<I>(std::declval<T>()))...>;
}
(std::make_index_sequence<std::tuple_size_v<T>>{});

template <template <class, class> class Way, class F, class T>
class MapWork {
    // A function that does not change when it is called is called by several threads at once; of
    // others each chunk gets a copy, as each task of a Pool does.
    static constexpr bool shared = called_as_constant<Way, F, T>;
    static_assert(shared || std::copy_constructible<F>,
                  "what map() runs on threads must be callable as a constant, or copyable: several "
                  "threads are to call it at once");

public:
    using R = typename Way<F, T>::Result;

    MapWork(F f, std::vector<T> items, std::size_t chunk_size, const MapOptions& options)
        : f_(std::move(f)), items_(std::move(items)), chunk_size_(chunk_size),
          chunks_(items_.size() / chunk_size + (items_.size() % chunk_size != 0 ? 1 : 0)),
          chunks_left_(chunks_), progress_(options.progress), results_(items_.size()) {
        static_cast<void>(future_->set_running()); // a map cannot be cancelled
        if (chunks_ == 0)
            future_->set_value(results_.take());
    }

    [[nodiscard]] const auto& future() const noexcept { return future_; }
    [[nodiscard]] std::size_t chunks() const noexcept { return chunks_; }

    /// One turn of a helper. \param item  the one in work
    /// \return false when there is no chunk left
    bool run_chunk(std::size_t& item) {
        // Relaxed, here and below: the chunks are not written after the map was submitted.
        const std::size_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
        if (chunk >= chunks_)
            return false;
        item = chunk * chunk_size_;
        const std::size_t end = std::min(item + chunk_size_, items_.size());
        const std::size_t count = end - item;
        if constexpr (shared) {
            call(std::as_const(f_), item, end);
        } else {
            F mine(f_);
            call(mine, item, end);
        }
        over(1, count);
        return true;
    }
    void failed_at(std::size_t item, std::exception_ptr error) noexcept {
        const std::size_t first = item / chunk_size_ * chunk_size_;
        note(item, std::move(error));
        over(1, std::min(chunk_size_, items_.size() - first));
    }
    /// Chunks that nobody has taken fail.
    void stop(std::exception_ptr error) noexcept {
        const std::size_t next = next_.exchange(chunks_, std::memory_order_relaxed);
        if (next >= chunks_)
            return;
        note(next * chunk_size_, std::move(error));
        over(chunks_ - next, 0);
    }
    void tell() {
        // Pairs with the sub in over(): who sees 0 sees all results.
        if (chunks_left_.load(std::memory_order_acquire) != 0 ||
            told_.exchange(true, std::memory_order_relaxed))
            return;
        if (error_ == nullptr) {
            try {
                future_->set_value(results_.take());
                return;
            } catch (...) { // no memory for them
                error_ = std::current_exception();
            }
        }
        future_->set_error(error_);
    }

private:
    template <class G>
    void call(G& f, std::size_t& item, std::size_t end) {
        for (; item < end; ++item)
            results_.put(item, [&]() -> R { return Way<G, T>::call(f, std::move(items_[item])); });
    }
    void note(std::size_t item, std::exception_ptr error) noexcept {
        const std::scoped_lock hold(mutex_);
        if (error_ == nullptr || item < error_at_) {
            error_ = std::move(error);
            error_at_ = item;
        }
    }
    void over(std::size_t chunks, std::size_t items) noexcept {
        if (progress_ && items > 0) {
            // Not the other mutex: what is called here may end the pool, which notes an error.
            const std::scoped_lock one_at_a_time(telling_);
            items_done_ += items;
            try {
                progress_(items_done_, items_.size());
            } catch (...) {
                report_callback(std::current_exception());
            }
        }
        chunks_left_.fetch_sub(chunks, std::memory_order_acq_rel); // pairs with tell()
    }

    F f_;
    std::vector<T> items_;
    std::size_t chunk_size_;
    std::size_t chunks_;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> chunks_left_;
    std::atomic<bool> told_{false};
    std::mutex telling_; // of the progress
    std::function<void(std::size_t, std::size_t)> progress_;
    std::size_t items_done_ = 0;
    std::mutex mutex_;         // of the error
    std::exception_ptr error_; // of the first item that has one
    std::size_t error_at_ = 0;
    MapPlaces<R> results_;
    std::shared_ptr<FutureValue<MapResult<R>>> future_ =
        std::make_shared<FutureValue<MapResult<R>>>();
};

template <class Job>
class MapHelper final : public ThreadTask {
public:
    explicit MapHelper(std::shared_ptr<Job> job) : job_(std::move(job)) {}

    bool run() override { return job_->run_chunk(item_); }
    bool failed(std::exception_ptr error) noexcept override {
        job_->failed_at(item_, std::move(error));
        return true;
    }
    void tell() override { job_->tell(); }
    void drop(std::exception_ptr error) noexcept override {
        job_->stop(std::move(error));
        job_->tell();
    }
    bool cancel() override { return false; }

private:
    std::shared_ptr<Job> job_;
    std::size_t item_ = 0;
};

/// One function for many tasks.
template <class F>
struct SharedFunction {
    std::shared_ptr<const F> f;
    template <class... Args>
    decltype(auto) operator()(Args&&... args) const {
        return std::invoke(*f, std::forward<Args>(args)...);
    }
};

template <>
struct Starter<ThreadCore> {
    template <class F, class... Args>
    [[nodiscard]] static auto call(const std::shared_ptr<ThreadCore>& core, F&& f, Args&&... args) {
        using R = CallResult<std::decay_t<F>, std::decay_t<Args>...>;
        const auto task = std::make_shared<ThreadCall<R, std::decay_t<F>, std::decay_t<Args>...>>(
            std::in_place, std::forward<F>(f), std::forward<Args>(args)...);
        core->submit(task);
        return Future<R>(task->future());
    }

    template <template <class, class> class Way, class F, class Range>
    [[nodiscard]] static auto map(const std::shared_ptr<ThreadCore>& core, F&& f, Range&& items,
                                  const MapOptions& options) {
        using T = Item<Range>;
        using Job = MapWork<Way, std::decay_t<F>, T>;
        core->check_open();
        std::vector<T> all = as_vector<T>(std::forward<Range>(items));
        const std::size_t chunk_size =
            chunk_size_of(options.chunk_size, all.size() / (4 * core->workers()) + 1);
        const auto job =
            std::make_shared<Job>(std::forward<F>(f), std::move(all), chunk_size, options);
        std::vector<std::shared_ptr<ThreadTask>> helpers(std::min(job->chunks(), core->workers()));
        for (auto& helper : helpers)
            helper = std::make_shared<MapHelper<Job>>(job);
        core->submit(std::move(helpers));
        return Future<MapResult<typename Job::R>>(job->future());
    }
    /// What tasks that share a function carry: the function, or if it changes itself a copy of it.
    template <class... Ts, class F>
    [[nodiscard]] static auto hold(F f) {
        if constexpr (std::invocable<const F&, Ts...>)
            return SharedFunction<F>{std::make_shared<const F>(std::move(f))};
        else
            return f;
    }

private:
    template <class T, class Range>
    [[nodiscard]] static std::vector<T> as_vector(Range&& items) {
        if constexpr (std::same_as<Range, std::vector<T>>) {
            return std::move(items);
        } else {
            std::vector<T> all;
            if constexpr (std::ranges::sized_range<Range>)
                all.reserve(static_cast<std::size_t>(std::ranges::size(items)));
            for (auto&& item : items)
                all.push_back(static_cast<T>(std::forward<decltype(item)>(item)));
            return all;
        }
    }
};

} // namespace multifork::detail
