#include <multifork/arena/space.hpp>
#include <multifork/core/barrier_cell.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/sync/barrier.hpp>
#include <multifork/sync/event.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

constexpr auto never = mp::platform::Deadline::never();

/// Runs `body(i)` in `count` threads.
void in_threads(int count, const std::function<void(int)>& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back(body, i);
    for (std::thread& thread : threads)
        thread.join();
}

} // namespace

BOOST_AUTO_TEST_SUITE(barrier)

BOOST_AUTO_TEST_CASE(nobody_passes_before_all_are_there_round_after_round) {
    mp::liveness::tuning().tick_ns = 0;
    constexpr int parties = 4;
    const int rounds = support::scaled(1'000);
    mp::Barrier barrier{parties};
    std::atomic<int> arrived{0};
    std::atomic<int> wrong{0};
    in_threads(parties, [&](int) {
        for (int round = 1; round <= rounds; ++round) {
            ++arrived;
            barrier.arrive_and_wait();
            if (arrived < parties * round)
                ++wrong;
            barrier.arrive_and_wait(); // so that nobody counts on before all have looked
        }
    });
    BOOST_TEST(wrong == 0);
    BOOST_TEST(barrier.waiting() == 0u);
    BOOST_TEST(!barrier.broken());
}

BOOST_AUTO_TEST_CASE(each_party_gets_another_number_and_the_last_one_acts) {
    std::atomic<int> acted{0};
    mp::Barrier barrier{5, [&] { ++acted; }};
    std::array<std::atomic<int>, 5> seen{};
    std::atomic<int> too_early{0};
    in_threads(5, [&](int) {
        ++seen.at(barrier.arrive_and_wait());
        if (acted != 1)
            ++too_early;
    });
    BOOST_TEST(too_early == 0);
    for (const auto& count : seen)
        BOOST_TEST(count == 1);
}

// On the bare cell: a waiter that runs so late that the history does not reach back to its round.
BOOST_AUTO_TEST_CASE(who_wakes_very_late_still_learns_how_its_round_has_ended) {
    alignas(64) std::array<std::byte, mp::core::barrier_bytes(1)> bytes{};
    auto& cell = reinterpret_cast<mp::core::BarrierCell&>(bytes);
    const mp::core::BarrierView barrier{cell, 1, mp::arena::tree_space().domain()};
    using State = mp::core::BarrierState;
    const auto end_of = [&](std::uint32_t round) {
        return mp::core::barrier_wait(barrier, round, never);
    };
    for (std::uint32_t round = 0; round < 200; ++round) {
        BOOST_TEST(mp::core::barrier_arrive(barrier, never).round == round);
        if (round == 50 || round == 150)
            mp::core::barrier_reset(barrier); // not passed
        else
            BOOST_TEST((mp::core::barrier_pass(barrier, round) == State::passed));
        if (round == 120) {
            BOOST_TEST((end_of(10) == State::broken)); // nobody knows
            BOOST_TEST((end_of(50) == State::broken));
            for (std::uint32_t old = 51; old <= round; ++old)
                BOOST_TEST((end_of(old) == State::passed));
        }
    }
    BOOST_TEST((end_of(150) == State::broken));
    for (std::uint32_t old = 151; old < 200; ++old)
        BOOST_TEST((end_of(old) == State::passed));
}

// More threads than parties: rounds are filled by whoever comes, and somebody always comes too
// early.
BOOST_AUTO_TEST_CASE(any_threads_fill_the_rounds_and_each_round_is_passed_by_all_or_none) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Barrier barrier{2, [] { std::this_thread::yield(); }};
    const int enough = support::scaled(2'000);
    std::array<std::atomic<int>, 2> passed{};
    in_threads(5, [&](int) {
        try {
            while (passed[0] < enough)
                ++passed.at(barrier.arrive_and_wait());
            barrier.abort();
        } catch (const mp::BrokenBarrier&) {
        }
    });
    BOOST_TEST(passed[0] == passed[1]);
}

// Fails when a waiter takes the name of an earlier round, whose thread has ended, for one of this
// round: each round is met by fresh threads.
BOOST_AUTO_TEST_CASE(who_has_passed_and_ended_did_not_die_at_the_barrier) {
    mp::Barrier barrier{3};
    std::atomic<int> broken{0};
    for (int round = 0; round < support::scaled(1'000); ++round) {
        in_threads(3, [&](int) {
            try {
                barrier.arrive_and_wait();
            } catch (const mp::BrokenBarrier&) {
                ++broken;
            }
        });
        if (barrier.broken())
            ++broken;
    }
    BOOST_TEST(broken == 0);
}

BOOST_AUTO_TEST_CASE(time_that_runs_out_breaks_the_barrier_until_reset) {
    mp::Barrier barrier{2};
    const auto begin = std::chrono::steady_clock::now();
    support::expect_error<mp::BrokenBarrier>([&] { barrier.arrive_and_wait_for(20ms); },
                                             {"abort()", "reset()"});
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    BOOST_TEST(barrier.broken());
    BOOST_TEST(barrier.to_string() == "<Barrier broken>");
    BOOST_CHECK_THROW(barrier.arrive_and_wait(), mp::BrokenBarrier);
    barrier.reset();
    BOOST_TEST(!barrier.broken());
    in_threads(2, [&](int) { barrier.arrive_and_wait(); });
    BOOST_CHECK_THROW(barrier.arrive_and_wait_for(0s), mp::BrokenBarrier);
    barrier.reset();
    BOOST_CHECK_THROW(barrier.arrive_and_wait_until(std::chrono::steady_clock::now() - 1s),
                      mp::BrokenBarrier);
}

BOOST_AUTO_TEST_CASE(abort_and_reset_send_everybody_away) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Barrier barrier{3};
    const std::vector<std::function<void()>> ways{[&] { barrier.abort(); },
                                                  [&] { barrier.reset(); }};
    for (const auto& send_away : ways) {
        std::atomic<int> sent{0};
        std::thread breaker([&] {
            support::wait_until([&] { return barrier.to_string() == "<Barrier 2/3>"; });
            send_away();
        });
        in_threads(2, [&](int) {
            try {
                barrier.arrive_and_wait();
            } catch (const mp::BrokenBarrier&) {
                ++sent;
            }
        });
        breaker.join();
        BOOST_TEST(sent == 2);
        BOOST_TEST(barrier.waiting() == 0u);
        barrier.reset();
        in_threads(3, [&](int) { barrier.arrive_and_wait(); });
    }
}

BOOST_AUTO_TEST_CASE(an_action_that_throws_breaks_the_barrier) {
    mp::Barrier barrier{2, [] { throw std::runtime_error("no"); }};
    std::atomic<int> own{0};
    std::atomic<int> broken{0};
    in_threads(2, [&](int) {
        try {
            barrier.arrive_and_wait();
        } catch (const mp::BrokenBarrier&) {
            ++broken;
        } catch (const std::runtime_error&) {
            ++own;
        }
    });
    BOOST_TEST(own == 1);
    BOOST_TEST(broken == 1);
    BOOST_TEST(barrier.broken());
}

BOOST_AUTO_TEST_CASE(an_action_may_use_the_barrier_but_not_arrive) {
    mp::Barrier* self = nullptr;
    std::size_t waiting = 0;
    mp::Barrier barrier{1, [&] {
                            waiting = self->waiting();
                            self->arrive_and_wait();
                        }};
    self = &barrier;
    BOOST_CHECK_THROW(barrier.arrive_and_wait(), mp::WouldDeadlock);
    BOOST_TEST(waiting == 1u);
    BOOST_TEST(barrier.broken());
}

// On the bare cell, between arrival and pass of the last one: there the action would run.
BOOST_AUTO_TEST_CASE(no_time_runs_out_during_the_action) {
    alignas(64) std::array<std::byte, mp::core::barrier_bytes(2)> bytes{};
    auto& cell = reinterpret_cast<mp::core::BarrierCell&>(bytes);
    const mp::core::BarrierView barrier{cell, 2, mp::arena::tree_space().domain()};
    using State = mp::core::BarrierState;
    std::atomic<int> step{0};
    std::atomic<pid_t> tid{0};
    State end{};
    std::thread first([&] {
        const auto arrival = mp::core::barrier_arrive(barrier, never);
        step = 1;
        support::wait_until([&] { return step == 2; });
        tid = gettid();
        end = mp::core::barrier_wait(barrier, arrival.round, mp::platform::Deadline::after(1ms));
    });
    support::wait_until([&] { return step == 1; });
    const auto arrival = mp::core::barrier_arrive(barrier, never);
    BOOST_TEST((arrival.state == State::last));
    step = 2;
    support::wait_until([&] { return tid != 0; });
    std::this_thread::sleep_for(20ms); // were its time to run out, it would do so now
    BOOST_TEST((mp::core::barrier_pass(barrier, arrival.round) == State::passed));
    first.join();
    BOOST_TEST((end == State::passed));
}

BOOST_AUTO_TEST_CASE(a_killed_party_breaks_the_barrier_for_all) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Barrier barrier{4};
    mp::Process victim{[&] { barrier.arrive_and_wait(); }};
    victim.start();
    std::vector<mp::Process> others;
    for (int i = 0; i < 2; ++i) {
        others.emplace_back([&] {
            try {
                barrier.arrive_and_wait();
                support::demand(false);
            } catch (const mp::BrokenBarrier&) {
            }
        });
        others.back().start();
    }
    support::wait_until([&] { return barrier.waiting() == 3; });
    for (mp::Process& other : others)
        support::wait_until_asleep(other.pid().value());
    victim.kill();
    for (mp::Process& other : others)
        support::expect_exit(other);
    BOOST_TEST(barrier.broken());
    victim.join();
}

BOOST_AUTO_TEST_CASE(a_party_killed_in_its_action_breaks_the_barrier) {
    mp::Event acting;
    mp::Barrier barrier{2, [&] {
                            acting.set();
                            for (;;)
                                pause();
                        }};
    mp::Process other{[&] {
        try {
            barrier.arrive_and_wait();
        } catch (const mp::BrokenBarrier&) {
            _exit(7);
        }
    }};
    other.start();
    support::wait_until([&] { return barrier.waiting() == 1; });
    mp::Process victim{[&] { barrier.arrive_and_wait(); }};
    victim.start();
    acting.wait();
    victim.kill();
    support::expect_exit(other, 7);
    victim.join();
}

BOOST_AUTO_TEST_CASE(a_default_time_limit_and_one_that_overrides_it) {
    mp::Barrier barrier{2, {}, 10ms};
    BOOST_CHECK_THROW(barrier.arrive_and_wait(), mp::BrokenBarrier);
    barrier.reset();
    std::thread late([&] {
        support::wait_until([&] { return barrier.waiting() == 1; });
        std::this_thread::sleep_for(30ms);
        barrier.arrive_and_wait();
    });
    barrier.arrive_and_wait_for(1h);
    late.join();
}

// Who comes during an action is for the next round, and leaves it as it is when its time runs out.
BOOST_AUTO_TEST_CASE(time_that_runs_out_while_an_action_runs_breaks_nothing) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Event acting;
    mp::Event enough;
    mp::Barrier barrier{2, [&] {
                            acting.set();
                            enough.wait();
                        }};
    std::atomic<int> passed{0};
    std::thread parties([&] {
        in_threads(2, [&](int) {
            barrier.arrive_and_wait();
            ++passed;
        });
    });
    acting.wait();
    const auto begin = std::chrono::steady_clock::now();
    support::expect_error<mp::BrokenBarrier>([&] { barrier.arrive_and_wait_for(20ms); },
                                             {"time", "action", "not broken"});
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    BOOST_CHECK_THROW(barrier.arrive_and_wait_for(0s), mp::BrokenBarrier);
    BOOST_TEST(!enough.is_set());
    BOOST_TEST(!barrier.broken());
    BOOST_TEST(barrier.waiting() == 2u);
    enough.set();
    parties.join();
    BOOST_TEST(passed == 2);
    BOOST_TEST(!barrier.broken());
    in_threads(2, [&](int) { barrier.arrive_and_wait(); }); // and the next round is whole
}

// A party that has time enough waits for the end of the action, and has its place in the next
// round.
BOOST_AUTO_TEST_CASE(who_comes_during_an_action_is_for_the_next_round) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Event acting;
    mp::Event enough;
    mp::Barrier barrier{1, [&] {
                            acting.set();
                            enough.wait();
                        }};
    std::thread first([&] { barrier.arrive_and_wait(); });
    acting.wait();
    std::atomic<pid_t> tid{0};
    std::thread second([&] {
        tid = gettid();
        barrier.arrive_and_wait_for(1h);
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    enough.set();
    first.join();
    second.join();
    BOOST_TEST(!barrier.broken());
}

BOOST_AUTO_TEST_CASE(a_negative_time_limit_is_over_at_once_wherever_the_handle_is) {
    mp::Barrier barrier{2, {}, -1s};
    BOOST_CHECK_THROW(barrier.arrive_and_wait(), mp::BrokenBarrier);
    barrier.reset();
    mp::Barrier arrived = mp::Barrier::arrive(barrier.crossing());
    BOOST_CHECK_THROW(arrived.arrive_and_wait(), mp::BrokenBarrier); // else it waits for ever
}

BOOST_AUTO_TEST_CASE(absurd_parties_are_refused) {
    BOOST_CHECK_THROW(mp::Barrier{0}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Barrier{16'385}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Barrier{~std::size_t{0}}, mp::InvalidArgument);
    BOOST_TEST(mp::Barrier{16'384}.parties() == 16'384u);
}

BOOST_AUTO_TEST_CASE(named_barriers) {
    const std::string name = support::unique_name("barrier");
    auto made = mp::Barrier::create(name, 2);
    BOOST_CHECK_THROW(mp::Barrier::open(name, 3), mp::LayoutMismatch);
    mp::Process child{[&] { mp::Barrier::open(name, 2).arrive_and_wait(); }};
    child.start();
    made.arrive_and_wait();
    support::expect_exit(child);
    BOOST_TEST(fmt::format("{}", made) == "<Barrier 0/2>");
    BOOST_TEST(mp::Barrier::remove(name));
}

BOOST_AUTO_TEST_SUITE_END()
