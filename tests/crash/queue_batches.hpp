#pragma once

#include "crash/queue_put.hpp"

#include <vector>

// A process dies in put_many() or get_many(). Of a batch the first few items are in the queue, or
// were taken, whole; what comes after them is as it was.

namespace multifork::test::crash::batch_scenarios {

inline constexpr std::uint64_t batch = 3;

/// Moves the victim's items out of `got`. \return how many there were; they must be the first ones
inline std::uint64_t take_batch(Numbers& got, std::uint64_t first) {
    std::uint64_t count = 0;
    Numbers rest;
    for (const std::uint64_t n : got)
        if (n >= first && n < first + batch)
            require(n == first + count++, "of a batch not the first ones are there");
        else
            rest.push_back(n);
    got = rest;
    return count;
}

template <class Kind>
void settle(const SharedQueue<Kind>& world, const Numbers& got) {
    world->expect_all_accounted_for(got);
    // A block between its slot and the commit is the queue's until the next put, which inherits the
    // producers' lock and frees it.
    world->expect_it_works();
    world->expect_no_memory_lost();
}

/// The victim puts three; there is room for `room` of them at first.
template <class Kind>
Scenario put_three(const char* name, std::uint64_t items, std::size_t consumers) {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, name, items);
    scenario.operation = [world] {
        std::vector<typename Kind::Type> three;
        for (std::uint64_t i = 0; i < batch; ++i) {
            const typename Kind::Type item = Kind::make(from_victim + i);
            three.push_back(item); // a copy: GCC 12 warns of the move of a string, without a reason
        }
        static_cast<void>(world->queue->put_many(three));
    };
    for (std::size_t i = 0; i < consumers; ++i)
        scenario.early.push_back(world->consumer());
    scenario.check = [world](Round& round) {
        const std::size_t asleep = round.partner_count();
        if (asleep > 0)
            require(await([&] { return world->queue->empty() || round.partners_done() == asleep; }),
                    "items are in the queue, and nobody was woken for them");
        for (std::size_t i = round.partners_done(); i < asleep; ++i)
            world->put_extra();
        Numbers got;
        for (std::size_t i = 0; i < asleep; ++i)
            got.push_back(round.result_of(i, "a consumer sleeps on beside items"));
        std::sort(got.begin(), got.end()); // who of the consumers was quicker is not known
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        const std::uint64_t put = take_batch(got, from_victim);
        require(!round.finished() || put == batch, "put_many() had returned");
        settle<Kind>(world, got);
    };
    return scenario;
}

/// The victim takes three of three; two producers may sleep because the queue is full.
template <class Kind>
Scenario get_three(const char* name, std::size_t producers) {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, name, 0);
    scenario.nothing_owed_at_the_end = true;
    scenario.set_up = [world] {
        world->fresh(0);
        for (std::uint64_t i = 0; i < batch; ++i)
            require(world->queue->try_put(Kind::make(from_victim + i)), "no room");
    };
    scenario.operation = [world] { static_cast<void>(world->queue->get_many(batch)); };
    for (std::size_t i = 0; i < producers; ++i)
        scenario.early.push_back(world->producer(from_partner + i));
    scenario.check = [world](Round& round) {
        const std::size_t asleep = round.partner_count();
        if (asleep > 0)
            require(await([&] { return world->queue->full() || round.partners_done() == asleep; }),
                    "there is room, and nobody was woken for it");
        for (std::size_t i = 0; i < asleep; ++i)
            world->also_put(from_partner + i);
        Numbers got = world->drain_until_done(round);
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        Numbers left;
        Numbers others;
        for (const std::uint64_t n : got)
            (n >= from_victim && n < from_victim + batch ? left : others).push_back(n);
        // What is left are the last ones.
        for (std::size_t i = 0; i < left.size(); ++i)
            require(left[i] == from_victim + batch - left.size() + i, "a batch taken in disorder");
        require(!round.finished() || left.empty(), "what get_many() returned came once more");
        settle<Kind>(world, others);
    };
    return scenario;
}

} // namespace multifork::test::crash::batch_scenarios
