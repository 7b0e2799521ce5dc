#pragma once

#include "crash/harness/pair.hpp"
#include "crash/pipe_world.hpp"

#include "arena/layout.hpp"
#include "arena/space_impl.hpp"
#include "liveness/sleep.hpp"

#include <multifork/core/pipe_cell.hpp>

// A process dies in send(), in recv(), or while it gives an end up. Messages are whole and
// accounted for; who sleeps at the other end gets what there is, or learns that the stream ended.

namespace multifork::test::crash::pipe_scenarios {

template <class Kind>
Scenario at_pipe(const SharedPipe<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario;
    scenario.name = std::string("pipe: ") + name + ", " + Kind::what;
    scenario.set_up = [world, items] { world->fresh(items); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.operation = [world] { world->writer->send(Kind::make(from_victim)); };
    scenario.nothing_owed_at_the_end = true;
    scenario.state = [world] { return world->state(); };
    return scenario;
}

template <class Kind>
void settle(const SharedPipe<Kind>& world, const Numbers& got) {
    world->expect_all_accounted_for(got);
    world->expect_it_works();
}

template <class Kind>
Scenario send_alone() {
    const auto world = std::make_shared<PipeWorld<Kind>>();
    Scenario scenario = at_pipe<Kind>(world, "send, alone", 1);
    scenario.nothing_owed_at_the_end = false;
    scenario.check = [world](Round& round) {
        world->also_sent(from_victim);
        if (!round.finished())
            world->may_be_lost(from_victim);
        world->send(from_test);
        settle<Kind>(world, world->drain());
        world->expect_no_memory_lost();
    };
    return scenario;
}

template <class Kind>
Scenario send_with_a_receiver_asleep() {
    const auto world = std::make_shared<PipeWorld<Kind>>();
    Scenario scenario = at_pipe<Kind>(world, "send, a receiver asleep", 0);
    scenario.early = {world->receiver()};
    scenario.check = [world](Round& round) {
        const bool there = round.finished();
        if (!there && !world->reader->poll())
            world->send(from_test); // or it was taken just now
        Numbers got{round.result_of(0, "a receiver sleeps on beside a message")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        world->also_sent(from_victim);
        if (!there)
            world->may_be_lost(from_victim);
        settle<Kind>(world, got);
    };
    return scenario;
}

template <class Kind>
Scenario recv_with_a_sender_asleep() {
    const auto world = std::make_shared<PipeWorld<Kind>>();
    Scenario scenario = at_pipe<Kind>(world, "recv, a sender asleep", 3);
    scenario.operation = [world] { static_cast<void>(world->reader->recv()); };
    scenario.early = {world->sender(from_partner)};
    scenario.check = [world](Round& round) {
        Numbers got;
        const auto first = world->reader->try_recv_for(world->limit());
        require(first.has_value(), "a full pipe gives nothing");
        got.push_back(world->checked(*first));
        static_cast<void>(round.result_of(0, "a sender sleeps on beside room"));
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        world->also_sent(from_partner);
        world->may_be_lost(1);
        require(!round.finished() || std::find(got.begin(), got.end(), 1) == got.end(),
                "what recv() had returned came once more");
        settle<Kind>(world, got);
    };
    return scenario;
}

/// The victim sleeps in recv first in line, is woken for a message, and dies; another sleeps
/// behind.
template <class Kind>
Scenario recv_woken() {
    const auto world = std::make_shared<PipeWorld<Kind>>();
    Scenario scenario = at_pipe<Kind>(world, "recv, woken, another asleep behind", 0);
    scenario.operation = [world] { static_cast<void>(world->reader->recv()); };
    scenario.behind = {world->receiver()};
    scenario.wake = [world] { world->send(7); };
    scenario.check = [world](Round& round) {
        world->send(8);
        Numbers got{round.result_of(0, "a receiver sleeps on beside a message")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        world->may_be_lost(7);
        settle<Kind>(world, got);
    };
    return scenario;
}

/// Whoever only looks must hand the wake-up that it got on to one that takes.
inline Scenario poll_woken() {
    const auto world = std::make_shared<PipeWorld<Plain>>();
    Scenario scenario = at_pipe<Plain>(world, "poll, woken, a receiver asleep behind", 0);
    scenario.operation = [world] {
        static_cast<void>(world->reader->poll(std::chrono::hours(24)));
    };
    scenario.behind = {world->receiver()};
    scenario.wake = [world] { world->send(7); };
    scenario.check = [world](Round& round) {
        require(round.result_of(0, "who polled kept the wake-up of a receiver") == 7,
                "another message than was sent");
        settle<Plain>(world, {7});
    };
    return scenario;
}

// ---- the end of the stream: the victim is the last one that holds the other end

/// The victim alone holds the writing end, and does `operation`; the receiver sleeps, or comes
/// late.
template <class Kind>
Scenario last_writer(const char* name, bool asleep, Action operation_of(SharedPipe<Kind>)) {
    const auto world = std::make_shared<PipeWorld<Kind>>();
    Scenario scenario = at_pipe<Kind>(world, name, 0);
    scenario.prepare = [world] {
        world->warm_up();
        world->reader->close();
    };
    scenario.operation = operation_of(world);
    (asleep ? scenario.early : scenario.late).push_back(world->only_receiver());
    scenario.all_forked = [world] { world->writer->close(); };
    scenario.check = [world](Round& round) {
        const std::uint64_t got = round.result_of(0, "a receiver sleeps on, and nobody can send");
        Numbers all;
        if (got != stream_ended)
            all.push_back(got);
        for (const std::uint64_t n : world->drain())
            all.push_back(n);
        require(all.size() <= 1 && (all.empty() || all[0] == from_victim), "a wrong message");
        require(await([&] { return world->reader->ended(); }), "the stream does not end");
        world->expect_no_memory_lost();
    };
    return scenario;
}

template <class Kind>
Scenario the_last_writer_is_killed_in_send(bool asleep) {
    Scenario scenario =
        last_writer<Kind>(asleep ? "the last writer in send, a receiver asleep"
                                 : "the last writer in send, a receiver comes",
                          asleep, [](SharedPipe<Kind> world) -> Action {
                              return [world] { world->writer->send(Kind::make(from_victim)); };
                          });
    scenario.nothing_owed_at_the_end = false;
    return scenario;
}

template <class Kind>
Scenario the_last_writer_closes(bool asleep) {
    return last_writer<Kind>(asleep ? "the last writer closes, a receiver asleep"
                                    : "the last writer closes, a receiver comes",
                             asleep, [](SharedPipe<Kind> world) -> Action {
                                 return [world] { world->writer->close(); };
                             });
}

/// The victim alone holds the reading end; a sender sleeps beside a full pipe.
inline Scenario the_last_reader_closes() {
    const auto world = std::make_shared<PipeWorld<Long>>();
    Scenario scenario = at_pipe<Long>(world, "the last reader closes, a sender asleep", 3);
    scenario.prepare = [world] {
        world->warm_up();
        world->writer->close();
    };
    scenario.operation = [world] { world->reader->close(); };
    scenario.early = {world->only_sender(from_partner)};
    scenario.all_forked = [world] { world->reader->close(); };
    scenario.check = [world](Round& round) {
        require(round.result_of(0, "a sender sleeps on, and nobody can receive") == pipe_broken,
                "a message was sent to nobody");
        world->expect_no_memory_lost();
    };
    return scenario;
}

/// The victim sends the only writing end to itself: it always has an entry in the ledger.
inline Scenario the_last_end_travels() {
    const auto world = std::make_shared<PipeWorld<Plain>>();
    Scenario scenario = at_pipe<Plain>(world, "the last writing end travels", 0);
    scenario.prepare = [world] {
        world->warm_up();
        world->reader->close();
    };
    using Ends = Connection<Connection<Plain::Type>>;
    const auto carrier = std::make_shared<std::pair<Ends, Ends>>();
    scenario.set_up = [world, carrier] {
        *carrier = Pipe<Connection<Plain::Type>>();
        world->fresh(0);
    };
    scenario.operation = [world, carrier] {
        carrier->first.send(*world->writer);
        world->writer->close();
        auto again = carrier->second.recv();
        again.close();
    };
    scenario.early = {world->only_receiver()};
    scenario.all_forked = [world] { world->writer->close(); };
    scenario.check = [world](Round& round) {
        require(round.result_of(0, "a receiver sleeps on, and nobody can send") == stream_ended,
                "a message that nobody sent");
        world->expect_no_memory_lost();
    };
    return scenario;
}

/// The victim takes over the only writing end, which travels. The test has looked at the ledger
/// before, and goes to sleep when the victim is dead: at that place between look and sleep nothing
/// may be missed.
inline Scenario an_end_is_adopted_unseen() {
    struct World {
        arena::Object object;
        arena::Heap::PipeEntry travels;
        std::optional<liveness::Sleep> sleep;
        [[nodiscard]] static arena::Space::Impl& space() { return arena::tree_space().impl(); }
        [[nodiscard]] std::uint64_t block() const {
            return object.offset() - sizeof(arena::BlockHeader);
        }
        [[nodiscard]] core::PipeCell& pipe() const {
            return *reinterpret_cast<core::PipeCell*>(object.data());
        }
        [[nodiscard]] arena::Heap::Holders writers() {
            return space().heap.pipe_holders(pipe(), core::PipeRole::writer, &*sleep);
        }
    };
    const auto world = std::make_shared<World>();
    Scenario scenario;
    scenario.name = "pipe: an end that travels is adopted, one about to sleep";
    scenario.set_up = [world] {
        world->object = arena::Object::make(sizeof(core::PipeCell) + sizeof(core::RingHeader),
                                            arena::Kind::pipe, [](std::byte*) {});
        world->travels = World::space().heap.join_pipe(
            world->block(), World::space().self(),
            static_cast<std::uint64_t>(core::PipeRole::writer) | core::pipe_travels_bit);
    };
    scenario.prepare = [world] { static_cast<void>(World::space().self()); };
    scenario.all_forked = [world] {
        world->sleep.emplace(World::space().domain);
        world->sleep->while_equal(world->pipe().ring().not_empty, 0);
        world->sleep->while_equal(world->pipe().changes, world->pipe().changes.load());
        require(world->writers().living == 1, "an end that travels is not counted");
    };
    scenario.operation = [world] {
        static_cast<void>(
            World::space().heap.adopt_pipe(world->block(), World::space().self(), world->travels));
    };
    scenario.check = [world](Round&) {
        if (world->pipe().entries[world->travels.index].load() == world->travels.word) {
            World::space().heap.leave_pipe(world->block(), world->travels);
            return; // it has not come to that
        }
        require(!world->sleep->wait(platform::Deadline::after(PipeWorld<Plain>::limit())).timed_out,
                "a receiver falls asleep, and nobody can send");
        world->sleep.emplace(World::space().domain);
        require(world->writers().living == 0, "a dead process holds an end");
    };
    return scenario;
}

// ---- pairs

/// A is the last writer and dies in close(), or after it; B is receiving, anywhere.
inline Pair close_and_recv(Pair::Order order, bool in_order) {
    const auto world = std::make_shared<PipeWorld<Plain>>();
    Pair pair;
    pair.name = std::string("pipe: close/recv") + ("") + (in_order ? ", A lives on" : "");
    pair.order = order;
    pair.b_before_the_kill = in_order;
    pair.set_up = [world] { world->fresh(0); };
    pair.prepare_a = [world] {
        world->warm_up();
        world->reader->close();
    };
    pair.prepare_b = [world] {
        world->warm_up();
        world->writer->close();
    };
    pair.a = [world] { world->writer->close(); };
    pair.b = world->receiver();
    pair.all_forked = [world] { world->writer->close(); };
    pair.check = [world](PairRound& round) {
        require(round.b_ends("recv() hangs, and nobody can send") == stream_ended,
                "a message that nobody sent");
        require(world->reader->ended(), "the stream does not end");
    };
    pair.state = [world] { return world->state(); };
    return pair;
}

/// A is killed anywhere outside of the arena's operations: its bell does not ring here any more.
inline Pair death_and_recv() {
    Pair pair = close_and_recv(Pair::Order::b_first, false);
    pair.name = "pipe: death elsewhere/recv";
    pair.a = [] { *liveness::this_thread.op_pending = nullptr; };
    return pair;
}

} // namespace multifork::test::crash::pipe_scenarios
