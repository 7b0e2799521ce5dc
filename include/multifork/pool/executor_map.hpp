#pragma once

#include <multifork/platform/clock.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/map.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// \file
/// What map() of an executor gives, and how its inputs become tasks.

namespace multifork {

struct ExecutorMapOptions {
    /// From the call of map() to the last result; then the step to the next one throws TimedOut.
    std::optional<std::chrono::nanoseconds> timeout = {};
    /// Items that are one task.
    std::int64_t chunk_size = 1;
    /// Chunks that are submitted before their results are wanted. Nothing: all of them, at once.
    std::optional<std::int64_t> buffer_size = {};
};

namespace detail {

/// What the result of one item is on its way: nothing cannot be an element of a vector.
template <class R>
using MapElement = std::conditional_t<std::is_void_v<R>, std::uint8_t, R>;

/// Where the tasks of a map come from.
template <class R>
class ChunkSource {
public:
    virtual ~ChunkSource() = default;
    /// Submits another chunk. \return nothing at the end of the input
    virtual std::optional<Future<std::vector<MapElement<R>>>> next() = 0;
};

/// What a task of a map runs.
template <class R, class F, class... Ts>
std::vector<MapElement<R>> call_each(F f, std::vector<std::tuple<Ts...>> items) {
    std::vector<MapElement<R>> results;
    results.reserve(items.size());
    for (auto& item : items) {
        const auto call = [&](Ts&... each) -> R { return std::invoke(f, std::move(each)...); };
        if constexpr (std::is_void_v<R>) {
            std::apply(call, item);
            results.push_back(1);
        } else {
            results.push_back(std::apply(call, item));
        }
    }
    return results;
}

/// Several inputs gone through side by side, to the end of the shortest.
template <class R, class F, class Submit, class... Views>
class ZippedChunks final : public ChunkSource<R> {
public:
    ZippedChunks(F f, Submit submit, std::size_t chunk_size, Views... views)
        : f_(std::move(f)), submit_(std::move(submit)), chunk_size_(chunk_size),
          views_(std::move(views)...) {}

    std::optional<Future<std::vector<MapElement<R>>>> next() override {
        std::vector<std::tuple<Item<Views>...>> chunk;
        while (chunk.size() < chunk_size_ && step())
            std::apply([&](auto&... at) { chunk.emplace_back(static_cast<Item<Views>>(*at)...); },
                       *at_);
        if (chunk.empty())
            return std::nullopt;
        return submit_(&call_each<R, F, Item<Views>...>, f_, std::move(chunk));
    }

private:
    /// To the next items. \return false when an input has no more
    bool step() {
        const auto indices = std::index_sequence_for<Views...>();
        if (ended_)
            return false;
        if (!at_)
            at_.emplace(std::apply(
                [](auto&... view) { return Places(std::ranges::begin(view)...); }, views_));
        else
            std::apply([](auto&... at) { (static_cast<void>(++at), ...); }, *at_);
        ended_ = any_at_end(indices);
        return !ended_;
    }
    template <std::size_t... I>
    bool any_at_end(std::index_sequence<I...>) {
        return ((std::get<I>(*at_) == std::ranges::end(std::get<I>(views_))) || ...);
    }

    using Places = std::tuple<std::ranges::iterator_t<Views>...>;
    F f_;
    Submit submit_;
    std::size_t chunk_size_;
    std::tuple<Views...> views_;
    std::optional<Places> at_;
    bool ended_ = false;
};

/// \throws InvalidArgument unless it is positive
[[nodiscard]] MULTIFORK_API std::size_t checked_chunk_size(std::int64_t asked);
[[noreturn]] MULTIFORK_API void throw_map_timed_out(std::size_t handed_out);

} // namespace detail

/// The results of map() of an executor, one after another in the order of the items: a range to go
/// through once. It keeps none that it has handed out.
///
/// What a task threw, or TimedOut, is thrown at its turn; then the range is at its end, and what
/// has not begun is cancelled. That happens as well when it is dropped after the first step and
/// before the end; one that nobody has looked at lets all tasks be done.
///
/// \threads one thread at a time
template <class R>
class ExecutorResults {
public:
    using value_type = detail::Stored<R>;

    /// \internal
    ExecutorResults(std::unique_ptr<detail::ChunkSource<R>> source,
                    const ExecutorMapOptions& options)
        : deadline_(options.timeout ? platform::Deadline::after(*options.timeout)
                                    : platform::Deadline::never()),
          source_(std::move(source)) {
        const std::size_t most = options.buffer_size
                                     ? detail::checked_chunk_size(*options.buffer_size)
                                     : std::numeric_limits<std::size_t>::max();
        try {
            while (chunks_.size() < most && submit_next()) {
            }
        } catch (...) {
            cancel_rest();
            throw;
        }
    }
    ExecutorResults(ExecutorResults&&) noexcept = default;
    ExecutorResults& operator=(ExecutorResults&&) = delete;
    ~ExecutorResults() {
        if (begun_)
            cancel_rest();
    }

    /// The next result, when it is there; nothing at the end. \throws what its task threw; TimedOut
    [[nodiscard]] std::optional<value_type> next() {
        while (at_ == got_.size()) {
            if (chunks_.empty()) {
                if (input_error_ != nullptr)
                    std::rethrow_exception(std::exchange(input_error_, nullptr));
                return std::nullopt;
            }
            begun_ = true;
            try {
                take_chunk();
            } catch (...) {
                cancel_rest();
                throw;
            }
        }
        ++handed_out_;
        std::optional<value_type> result;
        if constexpr (std::is_void_v<R>)
            result.emplace();
        else
            result.emplace(std::move(got_[at_]));
        if (++at_ == got_.size()) {
            got_.clear(); // the shell of what was handed out, too
            at_ = 0;
        }
        return result;
    }

    class iterator {
    public:
        using value_type = detail::Stored<R>;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(ExecutorResults& results) : results_(&results) { ++*this; }
        value_type& operator*() const noexcept { return *value_; }
        value_type* operator->() const noexcept { return &*value_; }
        iterator& operator++() {
            value_.reset();
            value_ = results_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const noexcept { return !value_.has_value(); }

    private:
        ExecutorResults* results_ = nullptr;
        mutable std::optional<value_type> value_;
    };
    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

private:
    using Chunk = Future<std::vector<detail::MapElement<R>>>;

    bool submit_next() {
        if (source_ == nullptr)
            return false;
        if (auto chunk = source_->next()) {
            chunks_.push_back(std::move(*chunk));
            return true;
        }
        source_.reset();
        return false;
    }
    void take_chunk() {
        const Chunk chunk = std::move(chunks_.front());
        chunks_.pop_front();
        if (!chunk.shared_state()->wait_before(deadline_)) {
            chunk.shared_state()->cancel();
            detail::throw_map_timed_out(handed_out_);
        }
        got_ = detail::take(chunk);
        at_ = 0;
        try {
            submit_next();
        } catch (...) { // of the input, or the executor was shut down: after what there is
            source_.reset();
            input_error_ = std::current_exception();
        }
    }
    void cancel_rest() noexcept {
        source_.reset();
        input_error_ = nullptr;
        for (Chunk& chunk : chunks_) {
            try {
                chunk.cancel();
            } catch (...) {
                // Its executor lives in another process, whose business it is.
            }
        }
        chunks_.clear();
    }

    platform::Deadline deadline_;
    std::unique_ptr<detail::ChunkSource<R>> source_;
    std::deque<Chunk> chunks_;
    std::vector<detail::MapElement<R>> got_;
    std::size_t at_ = 0;
    std::size_t handed_out_ = 0;
    bool begun_ = false;
    std::exception_ptr input_error_;
};

} // namespace multifork
