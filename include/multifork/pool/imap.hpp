#pragma once

#include <multifork/platform/clock.hpp>
#include <multifork/platform/wait_before.hpp>
#include <multifork/pool/map.hpp>
#include <multifork/pool/next_iterator.hpp>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace multifork {

namespace detail {
/// A container that was given as an rvalue, as a view.
template <class View>
inline constexpr bool owns_items = false;
template <class Container>
inline constexpr bool owns_items<std::ranges::owning_view<Container>> = true;
} // namespace detail

/// The results of Pool::imap() and imap_unordered(), one after another: a range to go through once.
///
/// The input is taken from as results are wanted, in the thread that wants them, and never further
/// than MapOptions::look_ahead chunks ahead. What the input throws is thrown here, when everything
/// that it gave before has been handed out; what a task throws, or what kept it from being
/// submitted, when its turn comes, and the next step goes on behind its chunk.
///
/// \threads one thread at a time
template <class R, class Input, class Submit>
class Imap {
public:
    /// \internal
    Imap(Input input, Submit submit, std::size_t chunk_size, std::size_t look_ahead, bool ordered,
         std::function<void(std::size_t, std::size_t)> progress = {})
        : self_(std::make_unique<Self>(Self{std::move(input), std::move(submit), chunk_size,
                                            look_ahead, ordered, std::move(progress)})) {
        if constexpr (std::ranges::sized_range<Input>)
            self_->all = static_cast<std::size_t>(std::ranges::size(self_->input));
    }

    using iterator = detail::NextIterator<Imap, R>;
    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// The next result, when it is there; nothing at the end. \throws what its task threw, or the
    /// input
    [[nodiscard]] std::optional<R> next() { return self_->next(); }

    /// Waits until next() would not, at most `time`; zero or less looks once. That the input takes
    /// its time counts, but does not end at the limit. \return whether next() would not wait now:
    /// it has a result, throws, or is at the end
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period>& time) {
        return self_->wait_before(platform::Deadline::after(time));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration>& moment) {
        return self_->wait_before(platform::Deadline::at(moment));
    }

private:
    struct Chunk {
        Future<std::vector<R>> results;
        std::size_t items;
    };
    using T = detail::Item<Input>;

    /// Chunks in the order in which they became ready.
    struct Ready {
        std::mutex mutex;
        std::condition_variable more;
        std::list<Chunk> chunks;
    };

    struct Self {
        Input input;
        Submit submit;
        std::size_t chunk_size;
        std::size_t look_ahead;
        bool ordered;
        std::function<void(std::size_t, std::size_t)> progress;
        std::size_t all = 0; // 0: the input does not know
        std::size_t done = 0;
        std::optional<std::ranges::iterator_t<Input>> at = {};
        bool exhausted = false;
        std::exception_ptr input_error = {};
        std::size_t outstanding = 0;
        std::list<Chunk> in_order = {};
        std::shared_ptr<Ready> ready = std::make_shared<Ready>();
        std::vector<R> got = {};
        std::size_t handed_out = 0;

        std::optional<R> next() {
            while (handed_out == got.size()) {
                fill();
                if (outstanding == 0) {
                    tell_the_end();
                    if (input_error != nullptr)
                        std::rethrow_exception(std::exchange(input_error, nullptr));
                    return std::nullopt;
                }
                --outstanding;
                handed_out = 0;
                got.clear();
                const Chunk chunk = next_chunk();
                chunk.results.wait();
                done += chunk.items;
                tell(all);
                got = detail::take(chunk.results);
            }
            return std::optional<R>(std::move(got[handed_out++]));
        }
        bool wait_before(platform::Deadline deadline) {
            if (handed_out < got.size())
                return true;
            fill();
            if (outstanding == 0)
                return true;
            if (ordered)
                return in_order.front().results.shared_state()->wait_before(deadline);
            std::unique_lock lock(ready->mutex);
            return await_chunk(lock, deadline);
        }
        void tell(std::size_t of) const {
            if (!progress)
                return;
            try {
                progress(done, of);
            } catch (...) {
                detail::report_callback(std::current_exception());
            }
        }
        void tell_the_end() {
            if (done > 0 && done != all)
                tell(done);
            progress = nullptr;
        }
        Chunk next_chunk() {
            if (ordered) {
                Chunk chunk = std::move(in_order.front());
                in_order.pop_front();
                return chunk;
            }
            std::unique_lock lock(ready->mutex);
            static_cast<void>(await_chunk(lock, platform::Deadline::never()));
            Chunk chunk = std::move(ready->chunks.front());
            ready->chunks.pop_front();
            return chunk;
        }
        bool await_chunk(std::unique_lock<std::mutex>& lock, platform::Deadline deadline) const {
            return platform::wait_before(ready->more, lock, deadline,
                                         [&] { return !ready->chunks.empty(); });
        }
        void fill() {
            while (!exhausted && outstanding < look_ahead) {
                std::vector<T> chunk;
                try {
                    take_from_input(chunk);
                } catch (...) {
                    exhausted = true;
                    input_error = std::current_exception();
                }
                if (chunk.empty())
                    return;
                // Its place first, for which there may be no memory.
                std::list<Chunk> place;
                place.push_back({{}, chunk.size()});
                const Future<std::vector<R>> results = submit_or_fail(std::move(chunk));
                if (ordered) {
                    place.front().results = results;
                    in_order.splice(in_order.end(), place);
                } else {
                    results.add_done_callback(
                        [to = ready, place = std::move(place)](auto future) mutable {
                            place.front().results = std::move(future);
                            {
                                const std::scoped_lock hold(to->mutex);
                                to->chunks.splice(to->chunks.end(), place);
                            }
                            to->more.notify_one();
                        });
                }
                ++outstanding; // last: nobody waits for what did not come so far
            }
        }
        /// What cannot be handed out has failed, and says so in its turn.
        Future<std::vector<R>> submit_or_fail(std::vector<T> chunk) {
            try {
                return submit(std::move(chunk));
            } catch (...) {
                Promise<std::vector<R>> promise;
                promise.set_exception(std::current_exception());
                return promise.get_future();
            }
        }
        /// What cannot be copied is moved out of a container that was given as an rvalue.
        T here() {
            if constexpr (detail::owns_items<Input> && !std::copy_constructible<T>)
                return static_cast<T>(std::ranges::iter_move(*at));
            else
                return static_cast<T>(**at);
        }
        void take_from_input(std::vector<T>& chunk) {
            if (!at)
                at.emplace(std::ranges::begin(input));
            else if (*at != std::ranges::end(input))
                ++*at;
            for (; *at != std::ranges::end(input); ++*at) {
                chunk.push_back(here());
                if (chunk.size() == chunk_size)
                    return; // the step is taken when the next is wanted: it may be dear
            }
            exhausted = true;
        }
    };
    std::unique_ptr<Self> self_;
};

} // namespace multifork
