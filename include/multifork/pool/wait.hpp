#pragma once

#include <multifork/platform/clock.hpp>
#include <multifork/pool/future.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

/// \file
/// Waiting for several futures.

namespace multifork {

/// What wait() waits for.
enum class return_when : std::uint8_t {
    first_completed, ///< any is ready, a cancelled one included
    first_exception, ///< any has failed; else as all_completed
    all_completed
};

template <class T>
struct DoneAndNotDone {
    std::vector<Future<T>> done;
    std::vector<Future<T>> not_done;
};

namespace detail {

/// Where futures say that they are ready. It outlives the wait if some of them are late.
struct MULTIFORK_API Arrivals {
    std::mutex mutex;
    std::condition_variable more;
    std::list<std::size_t> arrived; ///< places in the list of futures
    bool failed = false;            ///< one of them has an exception

    /// \param place  one, which is taken from there: it needs no memory
    void add(std::list<std::size_t>& place, bool has_failed) noexcept;
    /// Waits for another one. \return nothing when the time ran out
    [[nodiscard]] std::optional<std::size_t> next_before(platform::Deadline deadline);
};
[[noreturn]] MULTIFORK_API void throw_unfinished(std::size_t unfinished, std::size_t all);

/// Each future once, however often it is given.
template <class T>
[[nodiscard]] std::vector<Future<T>> distinct(const std::vector<Future<T>>& futures) {
    std::vector<Future<T>> once;
    std::unordered_set<const void*> known;
    for (const Future<T>& future : futures)
        if (known.insert(future.shared_state().get()).second)
            once.push_back(future);
    return once;
}

template <class T>
[[nodiscard]] std::shared_ptr<Arrivals> listen_to(const std::vector<Future<T>>& futures) {
    auto arrivals = std::make_shared<Arrivals>();
    for (std::size_t i = 0; i < futures.size(); ++i)
        futures[i].add_done_callback_of(
            arrivals.get(), [arrivals, place = std::list{i}](const Future<T>& done) mutable {
                arrivals->add(place, !done.cancelled() && done.exception() != nullptr);
            });
    return arrivals;
}
/// Nobody listens any more: who waits again and again must not leave something behind each time.
template <class T>
void leave(const Arrivals& arrivals, const Future<T>& future) {
    future.shared_state()->drop_callbacks(&arrivals);
}

/// Waits for one that has said that it is ready: callbacks behind that one may not have been called
/// yet, and until then get() would wait.
template <class T>
[[nodiscard]] bool becomes_ready(const Future<T>& future, platform::Deadline deadline) {
    return future.shared_state()->wait_before(deadline);
}

template <class T>
[[nodiscard]] DoneAndNotDone<T> wait_for_futures(const std::vector<Future<T>>& given,
                                                 return_when when, platform::Deadline deadline) {
    const std::vector<Future<T>> futures = distinct(given);
    const auto arrivals = listen_to(futures);
    std::vector<bool> here(futures.size());
    std::size_t count = 0;
    const auto enough = [&] {
        const std::scoped_lock hold(arrivals->mutex);
        return count == futures.size() || (when == return_when::first_completed && count > 0) ||
               (when == return_when::first_exception && arrivals->failed);
    };
    // First all that are ready already: who waits for the first gets every one that is there.
    for (auto until = platform::Deadline::poll();;) {
        if (const auto place = arrivals->next_before(until)) {
            here[*place] = true;
            ++count;
        } else if (enough() || !until.is_poll() || deadline.is_poll()) {
            break;
        } else {
            until = deadline;
        }
        if (!until.is_poll() && enough())
            until = platform::Deadline::poll();
    }
    DoneAndNotDone<T> result;
    for (std::size_t i = 0; i < futures.size(); ++i) {
        if (!here[i])
            leave(*arrivals, futures[i]);
        const bool done = here[i] && becomes_ready(futures[i], deadline);
        (done ? result.done : result.not_done).push_back(futures[i]);
    }
    return result;
}

} // namespace detail

/// Waits for futures as `when` says. \return which are ready, each once, and which are not
template <class T>
[[nodiscard]] DoneAndNotDone<T> wait(const std::vector<Future<T>>& futures,
                                     return_when when = return_when::all_completed) {
    return detail::wait_for_futures(futures, when, platform::Deadline::never());
}
/// Waits at most `timeout`; zero or less looks once.
template <class T, class Rep, class Period>
[[nodiscard]] DoneAndNotDone<T> wait(const std::vector<Future<T>>& futures, return_when when,
                                     const std::chrono::duration<Rep, Period>& timeout) {
    return detail::wait_for_futures(futures, when, platform::Deadline::after(timeout));
}

/// The same for all_completed.
template <class T, class Rep, class Period>
[[nodiscard]] DoneAndNotDone<T> wait(const std::vector<Future<T>>& futures,
                                     const std::chrono::duration<Rep, Period>& timeout) {
    return wait(futures, return_when::all_completed, timeout);
}

/// Futures in the order in which they become ready: a range to go through once. Those that were
/// ready come first. It keeps none that it has handed out.
///
/// \threads one thread at a time
template <class T>
class AsCompleted {
public:
    AsCompleted(const std::vector<Future<T>>& futures, platform::Deadline deadline)
        : deadline_(deadline) {
        for (Future<T>& future : detail::distinct(futures))
            left_.emplace_back(std::move(future));
        all_ = left_.size();
        unfinished_ = all_;
        std::vector<Future<T>> once;
        for (const auto& future : left_)
            once.push_back(*future);
        arrivals_ = detail::listen_to(once);
    }
    AsCompleted(AsCompleted&&) noexcept = default;
    AsCompleted& operator=(AsCompleted&&) = delete;
    ~AsCompleted() {
        if (arrivals_ != nullptr)
            for (const auto& future : left_)
                if (future)
                    detail::leave(*arrivals_, *future);
    }

    /// The next one; nothing when all were handed out.
    /// \throws TimedOut when the time is up: "2 (of 4) futures unfinished"
    [[nodiscard]] std::optional<Future<T>> next() {
        if (unfinished_ == 0)
            return std::nullopt;
        if (!arrived_)
            arrived_ = arrivals_->next_before(platform::Deadline::poll());
        if (!arrived_)
            arrived_ = arrivals_->next_before(deadline_);
        if (!arrived_ || !detail::becomes_ready(*left_[*arrived_], deadline_))
            detail::throw_unfinished(unfinished_, all_);
        --unfinished_;
        return std::exchange(left_[*std::exchange(arrived_, std::nullopt)], std::nullopt);
    }

    class iterator {
    public:
        using value_type = Future<T>;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(AsCompleted& futures) : futures_(&futures) { ++*this; }
        Future<T>& operator*() const noexcept { return *future_; }
        iterator& operator++() {
            future_.reset();
            future_ = futures_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const noexcept { return !future_.has_value(); }

    private:
        AsCompleted* futures_ = nullptr;
        mutable std::optional<Future<T>> future_;
    };
    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

private:
    std::vector<std::optional<Future<T>>> left_;
    std::shared_ptr<detail::Arrivals> arrivals_;
    std::optional<std::size_t> arrived_; // but not ready when the time was up
    std::size_t all_ = 0;
    std::size_t unfinished_ = 0;
    platform::Deadline deadline_;
};

template <class T>
[[nodiscard]] AsCompleted<T> as_completed(const std::vector<Future<T>>& futures) {
    return AsCompleted<T>(futures, platform::Deadline::never());
}
/// All of it takes at most `timeout`, counted from now.
template <class T, class Rep, class Period>
[[nodiscard]] AsCompleted<T> as_completed(const std::vector<Future<T>>& futures,
                                          const std::chrono::duration<Rep, Period>& timeout) {
    return AsCompleted<T>(futures, platform::Deadline::after(timeout));
}

} // namespace multifork
