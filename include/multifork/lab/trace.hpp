#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

// A trace: what several processes did to a shared number, with times, written by them into shared
// memory while they did it.
//
//   offset 0   lane 0   header, 64 bytes: count, dropped
//                       event 0, event 1, ...                 (32 bytes each)
//              lane 1   ...
//
// Each lane has one writer, and only it writes there. An event is written first and counted
// afterwards (COMMIT): a writer that is killed leaves whole events only. A full lane drops what
// comes, and counts that too.

namespace multifork::lab {

/// What a process did. The first two are accesses to a shared number; the others are what the
/// pictures of a race show besides.
enum class Access : std::uint16_t {
    load = 1,
    store = 2,
    compute = 3, ///< something with its own copy: an addition, a comparison
    acquire = 4, ///< took a lock or permit; from `begin` to `end` it waited for it
    release = 5,
    wait = 6, ///< asked to be woken, and was at `end`
    mark = 7, ///< anything else that is worth a word
};

/// One step of one process, most often an access to a shared number.
struct TraceEvent {
    std::int64_t begin = 0; ///< monotonic ns, read right before the access
    std::int64_t end = 0;   ///< read right after it: by then a store is visible to everybody
    std::int64_t value = 0; ///< what was loaded or stored
    Access access = Access::load;
    std::uint16_t object = 0;   ///< which number, lock or word; what that means the demo knows
    std::uint32_t sequence = 0; ///< 0, 1, 2, ... within the lane
};
static_assert(sizeof(TraceEvent) == 32);

/// The end of a trace that one process writes to.
///
/// \code
///   lab::TraceLane lane = trace.lane(0);
///   const int seen = lane.load(counter.value());
///   lane.store(counter.value(), seen + 1);
/// \endcode
///
/// \threads   a lane belongs to one thread
/// \cost      two readings of the clock an access, and for a store a fence: a traced race is slower
///            than the same race untraced, and the way from load to store is longer
class MULTIFORK_API TraceLane {
public:
    template <std::integral T>
    T load(const RacyReference<T>& from) noexcept {
        const std::int64_t begin = platform::monotonic_ns();
        const T value = from.get();
        record(begin, platform::monotonic_ns(), Access::load, static_cast<std::int64_t>(value));
        return value;
    }

    template <std::integral T>
    void store(const RacyReference<T>& to, T value) noexcept {
        const std::int64_t begin = platform::monotonic_ns();
        to = value;
        // Waits until the store has left this processor: only then is it true to say "by now".
        std::atomic_thread_fence(std::memory_order_seq_cst);
        record(begin, platform::monotonic_ns(), Access::store, static_cast<std::int64_t>(value));
    }

    /// Writes down a step whose times and value the caller knows.
    void note(Access access, std::uint16_t object, std::int64_t value, std::int64_t begin,
              std::int64_t end) noexcept {
        record(begin, end, access, value, object);
    }

    /// Forgets what this lane holds. Only while nobody reads it.
    void clear() noexcept {
        // relaxed: this thread is the only writer
        header_->count.store(0, std::memory_order_relaxed);
        header_->dropped.store(0, std::memory_order_relaxed);
    }

private:
    friend class Trace;
    struct Header {
        std::atomic<std::uint64_t> count;
        std::atomic<std::uint64_t> dropped;
    };
    TraceLane(Header* header, TraceEvent* events, std::size_t capacity) noexcept
        : header_(header), events_(events), capacity_(capacity) {}

    void record(std::int64_t begin, std::int64_t end, Access access, std::int64_t value,
                std::uint16_t object = 0) noexcept {
        // relaxed: this thread is the only writer
        const std::uint64_t at = header_->count.load(std::memory_order_relaxed);
        if (at >= capacity_) [[unlikely]] {
            header_->dropped.store(header_->dropped.load(std::memory_order_relaxed) + 1,
                                   std::memory_order_relaxed);
            return;
        }
        events_[at] = TraceEvent{begin, end, value, access, object, static_cast<std::uint32_t>(at)};
        // release: pairs with the acquire in Trace::events(). COMMIT.
        header_->count.store(at + 1, std::memory_order_release);
    }

    Header* header_;
    TraceEvent* events_;
    std::size_t capacity_;
};

/// A bounded record of accesses in shared memory, one lane for each process that takes part.
///
/// A Trace is a handle: copies, and what a forked child inherits, mean the same trace.
///
/// \processes safe, as long as each lane has one writer
/// \fork      the child inherits the handle
/// \crash     a killed writer leaves the events that it had finished
class MULTIFORK_API Trace {
public:
    /// \throws InvalidArgument for no lanes, no events, or more than 2^32 - 1 events a lane;
    ///         OutOfSharedMemory
    Trace(std::size_t lanes, std::size_t events_per_lane);

    /// The writer's end of a lane. Touches its memory, so that no page fault gets in the way later.
    /// \throws InvalidArgument when there is no such lane
    [[nodiscard]] TraceLane lane(std::size_t index) const;

    /// What has been recorded so far, in order.
    /// \throws InvalidArgument when there is no such lane
    [[nodiscard]] std::vector<TraceEvent> events(std::size_t index) const;
    /// Accesses that found the lane full.
    [[nodiscard]] std::uint64_t dropped(std::size_t index) const;

    [[nodiscard]] std::size_t lanes() const noexcept { return lanes_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

private:
    [[nodiscard]] std::byte* lane_bytes(std::size_t index) const;

    std::size_t lanes_;
    std::size_t capacity_;
    arena::Object object_;
};

} // namespace multifork::lab
