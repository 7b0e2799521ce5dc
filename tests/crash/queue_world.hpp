#pragma once

#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Queues for the crash tests: messages that carry a number and show when they are torn, and the
// accounting of who got which.

namespace multifork::test::crash {

/// Trivially copyable: travels in the slot as it is.
struct Plain {
    struct Type {
        std::uint64_t number = 0;
        std::uint64_t times3 = 0;
        std::uint64_t times5 = 0;
        std::uint64_t times7 = 0;
    };
    static constexpr const char* what = "plain";
    static Type make(std::uint64_t n) { return {n, n * 3, n * 5, n * 7}; }
    static bool whole(const Type& t, std::uint64_t n) {
        return t.number == n && t.times3 == n * 3 && t.times5 == n * 5 && t.times7 == n * 7;
    }
    static std::uint64_t number(const Type& t) { return t.number; }
};

/// A string, encoded; its length decides whether it fits into the slot.
template <std::size_t Length>
struct Text {
    using Type = std::string;
    static constexpr const char* what = Length > 100 ? "larger than a slot" : "encoded";
    static Type make(std::uint64_t n) {
        return std::string(Length, static_cast<char>('0' + n % 64));
    }
    static bool whole(const Type& t, std::uint64_t n) { return t == make(n); }
    static std::uint64_t number(const Type& t) {
        return t.empty() ? 0 : static_cast<std::uint64_t>(t.front() - '0');
    }
};
using Short = Text<20>;
using Long = Text<400>;

using Numbers = std::vector<std::uint64_t>;

// The numbers of the messages, all below 64.
inline constexpr std::uint64_t from_victim = 20;
inline constexpr std::uint64_t from_test = 30;    // and up
inline constexpr std::uint64_t from_partner = 50; // and up
inline constexpr std::uint64_t was_closed = 999;  // what a consumer of a closed queue got

template <class Kind>
class QueueWorld {
public:
    using Message = typename Kind::Type;
    static constexpr std::size_t capacity = 3;

    std::optional<Queue<Message>> queue;

    /// A new queue that holds 1 to `items`.
    void fresh(std::uint64_t items) {
        queue.emplace(capacity);
        if (!spare_)
            spare_.emplace(capacity);
        warm_up();
        before_ = arena::arena_usage();
        lost_ = {};
        extras_ = 0;
        accounted_.clear();
        for (std::uint64_t n = 1; n <= items; ++n)
            put(n);
    }

    /// For the victim, before the marker: its thread is attached and its buffer is there.
    void warm_up() {
        spare_->put(Kind::make(1));
        static_cast<void>(get_from(*spare_));
    }

    void put(std::uint64_t n) {
        require(queue->try_put_for(Kind::make(n), hang_limit()), "put() hangs: no room");
        accounted_.push_back(n);
    }
    void put_extra() { put(from_test + extras_++); }

    Job consumer() {
        return [this] {
            try {
                return checked(queue->get());
            } catch (const QueueClosed&) {
                return was_closed;
            }
        };
    }
    Job producer(std::uint64_t n) {
        return [this, n] {
            try {
                queue->put(Kind::make(n));
                return n;
            } catch (const QueueClosed&) {
                return was_closed;
            }
        };
    }

    /// Sleeps at another queue until it is released.
    Job stranger() {
        return [this] { return checked(get_from(*spare_)); };
    }
    void release_stranger() { spare_->put(Kind::make(1)); }

    /// Takes what is in the queue.
    Numbers drain() {
        Numbers got;
        while (auto message = queue->try_get()) {
            got.push_back(checked(*message));
            require(got.size() <= 50, "the queue gives more than anybody put");
        }
        return got;
    }
    /// Takes until all the round's partners are done.
    Numbers drain_until_done(Round& round) {
        Numbers got;
        require(await([&] {
                    const bool done = round.partners_done() == round.partner_count();
                    for (const std::uint64_t n : drain())
                        got.push_back(n);
                    return done;
                }),
                "a partner sleeps on although there is room");
        return got;
    }

    // ---- what must be accounted for
    void also_put(std::uint64_t n) { accounted_.push_back(n); }
    /// At most one of these may be missing: they could have died with the victim.
    void may_be_lost(std::uint64_t n) { lost_.push_back(n); }
    /// Everything that was put was got once, apart from what may be lost; nothing else was got.
    void expect_all_accounted_for(Numbers got) {
        std::erase(got, was_closed);
        std::size_t missing_with_victim = 0;
        for (const std::uint64_t n : accounted_) {
            const auto found = std::find(got.begin(), got.end(), n);
            if (found != got.end())
                got.erase(found);
            else if (std::find(lost_.begin(), lost_.end(), n) != lost_.end())
                ++missing_with_victim;
            else
                throw Failure("item " + std::to_string(n) + " is lost");
        }
        require(missing_with_victim <= 1, "more than one item died with the victim");
        if (!got.empty())
            throw Failure("item " + std::to_string(got.front()) + " was got twice, or never put");
    }
    /// When the queue is empty and everybody at rest, no block of a message is left.
    void expect_no_memory_lost() {
        arena::tree_space().sweep();
        const auto now = arena::arena_usage();
        if (now.blocks_used != before_.blocks_used || now.bytes_used != before_.bytes_used)
            throw Failure("blocks leak: " + std::to_string(before_.blocks_used) + " blocks, " +
                          std::to_string(before_.bytes_used) + " bytes before; now " +
                          std::to_string(now.blocks_used) + ", " + std::to_string(now.bytes_used));
    }
    /// The queue still does what queues do, all the way round.
    void expect_it_works() {
        for (std::uint64_t n = 0; n < 2 * capacity; ++n) {
            require(queue->try_put_for(Kind::make(n), hang_limit()), "put() hangs afterwards");
            const auto got = queue->try_get_for(hang_limit());
            require(got.has_value() && checked(*got) == n, "the queue is damaged");
        }
    }

    static std::uint64_t checked(const Message& message) {
        const std::uint64_t n = Kind::number(message);
        require(Kind::whole(message, n), "torn item");
        return n;
    }
    static std::chrono::nanoseconds hang_limit() {
        return std::chrono::nanoseconds(hang_limit_ns());
    }

private:
    static Message get_from(Queue<Message>& from) { return from.get(); }

    std::optional<Queue<Message>> spare_;
    arena::SpaceUsage before_;
    std::uint64_t extras_ = 0;
    Numbers accounted_;
    Numbers lost_;
};

} // namespace multifork::test::crash
