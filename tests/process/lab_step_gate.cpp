#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/lab/schedules.hpp>
#include <multifork/lab/step_gate.hpp>
#include <multifork/lab/wait_board.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
using mp::lab::Access;
using mp::lab::Standing;
using mp::lab::StepGate;

namespace {

/// Two processes that write their letter at each of their steps; the gate's owner chooses.
struct Writers {
    StepGate gate{2};
    mp::Queue<char> said{100};
    mp::Queue<int> joined{2};
    std::vector<mp::Process> all;

    explicit Writers(int steps) {
        for (std::size_t i : {0U, 1U}) {
            all.emplace_back(mp::ProcessOptions{.daemon = true}, [this, i, steps] {
                auto part = gate.part(i);
                joined.put(1);
                for (int step = 0; step < steps; ++step) {
                    part.step({Access::mark, 0, step});
                    said.put(static_cast<char>('a' + i));
                }
                part.leave();
            });
            all.back().start();
        }
        static_cast<void>(joined.get());
        static_cast<void>(joined.get());
    }
    std::string text() {
        std::string text;
        while (const auto letter = said.try_get())
            text += *letter;
        return text;
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(lab_step_gate)

BOOST_AUTO_TEST_CASE(steps_are_made_in_the_order_of_the_director) {
    Writers writers(4);
    for (const char c : std::string("01101001")) {
        const auto who = static_cast<std::size_t>(c - '0');
        BOOST_TEST_REQUIRE((writers.gate.wait(who) == Standing::parked));
        writers.gate.allow(who);
        writers.gate.wait(who);
    }
    BOOST_TEST(writers.text() == "abbabaab");
    BOOST_TEST((writers.gate.wait(0) == Standing::gone));
    BOOST_TEST((writers.gate.wait(1) == Standing::gone));
}

BOOST_AUTO_TEST_CASE(a_parked_part_says_what_it_is_about_to_do_and_does_not_do_it) {
    Writers writers(3);
    BOOST_TEST((writers.gate.wait(0) == Standing::parked));
    writers.gate.allow(0);
    BOOST_TEST((writers.gate.wait(0) == Standing::parked));
    BOOST_TEST(writers.gate.next(0).value == 1);
    BOOST_TEST((writers.gate.wait(1) == Standing::parked));
    BOOST_TEST(writers.text() == "a");
    writers.gate.open(0);
    writers.gate.open(1);
    for (auto& process : writers.all)
        process.join();
    BOOST_TEST(writers.text().size() == 5);
}

BOOST_AUTO_TEST_CASE(a_part_that_is_killed_at_the_gate_is_found_dead) {
    Writers writers(3);
    BOOST_TEST((writers.gate.wait(0) == Standing::parked));
    writers.all[0].kill();
    writers.all[0].join();
    BOOST_TEST((writers.gate.look(0) == Standing::dead));
    BOOST_TEST((writers.gate.wait(0) == Standing::dead));
    writers.gate.allow(0); // does no harm
    BOOST_TEST((writers.gate.wait(0) == Standing::dead));
    BOOST_TEST((writers.gate.wait(1) == Standing::parked));
}

BOOST_AUTO_TEST_CASE(a_director_that_waits_for_a_running_part_hears_of_its_death) {
    StepGate gate(1);
    mp::Queue<int> joined(1);
    mp::Process part{{.daemon = true}, [&] {
                         auto me = gate.part(0);
                         joined.put(::getpid());
                         me.step({});
                         ::kill(::getpid(), SIGKILL); // in the middle of its step
                     }};
    part.start();
    static_cast<void>(joined.get());
    BOOST_TEST((gate.wait(0) == Standing::parked));
    gate.allow(0);
    BOOST_TEST((gate.wait(0) == Standing::dead));
}

BOOST_AUTO_TEST_CASE(a_part_hears_of_its_directors_death) {
    mp::Queue<std::string> said(4);
    mp::Process director{{}, [&] {
                             StepGate gate(1);
                             mp::Process part{{}, [&] {
                                                  auto me = gate.part(0);
                                                  said.put("here");
                                                  try {
                                                      me.step({});
                                                  } catch (const mp::Error& error) {
                                                      said.put(error.what());
                                                      ::_exit(0);
                                                  }
                                                  said.put("went on");
                                              }};
                             part.start();
                             static_cast<void>(gate.wait(0));
                             ::kill(::getpid(), SIGKILL);
                         }};
    director.start();
    BOOST_TEST(said.get() == "here");
    BOOST_TEST(said.get().find("directed this step gate has died") != std::string::npos);
    director.join();
}

BOOST_AUTO_TEST_CASE(impossible_gates_and_parts_are_refused) {
    BOOST_CHECK_THROW(StepGate(0), mp::InvalidArgument);
    BOOST_CHECK_THROW(StepGate(1025), mp::InvalidArgument);
    const StepGate gate(2);
    BOOST_CHECK_THROW(static_cast<void>(gate.part(2)), mp::InvalidArgument);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lab_schedules)

namespace {

/// Goes through all orders of processes with that many steps.
std::int64_t count(std::vector<std::size_t> steps) {
    mp::lab::Schedules schedules;
    std::int64_t found = 0;
    for (; schedules.next(); ++found) {
        auto left = steps;
        for (;;) {
            std::vector<std::size_t> able;
            for (std::size_t i = 0; i < left.size(); ++i)
                if (left[i] > 0)
                    able.push_back(i);
            if (able.empty())
                break;
            --left[schedules.pick(able)];
        }
    }
    return found;
}

} // namespace

BOOST_AUTO_TEST_CASE(every_interleaving_is_run_once) {
    BOOST_TEST(count({3, 3}) == 20);
    BOOST_TEST(count({3, 3, 3}) == 1680);
    BOOST_TEST(count({5}) == 1);
    for (const auto& steps : {std::vector<std::size_t>{3, 3}, {3, 3, 3}, {1, 2, 4}, {5}})
        BOOST_TEST(mp::lab::count_interleavings(steps).value() == count(steps));
    BOOST_TEST(mp::lab::count_interleavings(std::vector<std::size_t>{4, 4, 4}).value() == 34'650);
    BOOST_TEST(!mp::lab::count_interleavings(std::vector<std::size_t>{99, 99}));
}

BOOST_AUTO_TEST_CASE(what_is_not_deterministic_is_refused) {
    mp::lab::Schedules schedules;
    const std::vector<std::size_t> both{0, 1};
    const std::vector<std::size_t> one{0};
    BOOST_TEST(schedules.next());
    BOOST_TEST(schedules.pick(both) == 0);
    BOOST_TEST(schedules.next());
    BOOST_CHECK_THROW(static_cast<void>(schedules.pick(one)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(schedules.pick({})), mp::InvalidArgument);
}

BOOST_AUTO_TEST_CASE(a_schedule_that_ends_too_early_is_refused) {
    mp::lab::Schedules schedules;
    const std::vector<std::size_t> both{0, 1};
    BOOST_TEST(schedules.next());
    BOOST_TEST(schedules.pick(both) == 0);
    BOOST_TEST(schedules.pick(both) == 0);
    BOOST_TEST(schedules.next()); // 0, 1
    BOOST_TEST(schedules.pick(both) == 0);
    BOOST_CHECK_THROW(static_cast<void>(schedules.next()), mp::InvalidArgument);
}

BOOST_AUTO_TEST_CASE(changes_that_were_not_forced_are_counted) {
    mp::lab::Schedules schedules;
    const std::vector<std::size_t> both{0, 1};
    const std::vector<std::size_t> second{1};
    BOOST_TEST(schedules.next());
    static_cast<void>(schedules.pick(both));
    static_cast<void>(schedules.pick(both));
    static_cast<void>(schedules.pick(second)); // the first one is at its end
    BOOST_TEST(schedules.preemptions() == 0);
    BOOST_TEST(schedules.next()); // 0, 1
    BOOST_TEST(schedules.pick(both) == 0);
    BOOST_TEST(schedules.pick(both) == 1);
    BOOST_TEST(schedules.preemptions() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lab_wait_board)

namespace {

/// Two processes that each hold one of two locks and then take the other one's.
struct Embrace {
    std::vector<mp::Lock> locks = std::vector<mp::Lock>(2);
    mp::lab::WaitBoard board{2};
    mp::Queue<int> holds{2};
    mp::Queue<int> go{2};
    std::vector<mp::Process> all;

    Embrace() {
        for (std::size_t i : {0U, 1U}) {
            all.emplace_back(mp::ProcessOptions{.daemon = true}, [this, i] {
                locks[i].lock();
                holds.put(1);
                static_cast<void>(go.get());
                const auto waiting = board.waits(i, 1 - i);
                locks[1 - i].lock();
            });
            all.back().start();
        }
        static_cast<void>(holds.get());
        static_cast<void>(holds.get());
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(a_circle_is_found_with_all_who_are_in_it) {
    Embrace embrace;
    BOOST_TEST(embrace.board.find_circle(embrace.locks).empty()); // both hold, neither waits
    embrace.go.put(1);
    embrace.go.put(1);
    std::vector<mp::lab::WaitsFor> circle;
    while (circle.empty())
        circle = embrace.board.find_circle(embrace.locks);
    BOOST_TEST_REQUIRE(circle.size() == 2);
    for (const auto& edge : circle) {
        BOOST_TEST(edge.lock == 1 - edge.waiter);
        BOOST_TEST(edge.holder == 1 - edge.waiter);
    }
}

BOOST_AUTO_TEST_CASE(a_killed_process_is_in_no_circle) {
    Embrace embrace;
    embrace.go.put(1);
    embrace.go.put(1);
    while (embrace.board.find_circle(embrace.locks).empty())
        ;
    embrace.all[0].kill();
    embrace.all[0].join();
    BOOST_TEST(embrace.board.find_circle(embrace.locks).empty());
}

BOOST_AUTO_TEST_CASE(one_who_waits_for_a_holder_that_does_not_wait_is_in_no_circle) {
    mp::Lock lock;
    const mp::lab::WaitBoard board(2);
    mp::Queue<int> here(1);
    lock.lock();
    mp::Process waiter{{.daemon = true}, [&] {
                           const auto waiting = board.waits(0, 0);
                           here.put(1);
                           lock.lock();
                           lock.unlock();
                       }};
    waiter.start();
    static_cast<void>(here.get());
    BOOST_TEST(board.find_circle(std::vector<mp::Lock>{lock}).empty());
    lock.unlock();
    waiter.join();
    BOOST_TEST(waiter.exitcode().value() == 0);
}

BOOST_AUTO_TEST_CASE(one_who_has_got_what_he_waited_for_is_in_no_circle) {
    const mp::lab::WaitBoard board(2);
    mp::Lock lock;
    const auto waiting = board.waits(0, 0);
    const std::scoped_lock hold(lock); // and has not said so yet
    BOOST_TEST(board.find_circle(std::vector<mp::Lock>{lock}).empty());
}

BOOST_AUTO_TEST_SUITE_END()
