#include <multifork/process/finalizer.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

// write() and not a buffer, so that each word shows who ran what, once.
void say(std::string_view text) {
    static_cast<void>(!::write(STDOUT_FILENO, text.data(), text.size()));
}

auto saying(std::string text) {
    return [text = std::move(text), pid = ::getpid()] {
        say(text + (pid == ::getpid() ? " " : "(in a child!) "));
    };
}

const support::Program order{"finalizers-order", [] {
                                 mp::at_exit(saying("first"), 1);
                                 mp::at_exit(saying("third"));
                                 mp::at_exit(saying("second"));
                                 mp::at_exit(saying("last"), -1);
                                 mp::at_exit(saying("very-first"), 100);
                                 say("end ");
                                 return 0;
                             }};

const support::Program handles{"finalizers-handles", [] {
                                   const mp::Finalizer none;
                                   auto dropped = mp::at_exit(saying("dropped"));
                                   auto early = mp::at_exit(saying("early"));
                                   const auto kept = mp::at_exit(saying("kept"));
                                   support::demand(!none.active() && dropped.active());
                                   support::demand(dropped.cancel() && !dropped.cancel());
                                   support::demand(!dropped.active() && !dropped.run());
                                   support::demand(early.run() && !early.run());
                                   support::demand(!early.active() && !early.cancel());
                                   support::demand(kept.active());
                                   say("end ");
                                   return 0;
                               }};

const support::Program throwing{"finalizers-throwing", [] {
                                    mp::at_exit(saying("other"));
                                    mp::at_exit([] { throw std::runtime_error("on purpose"); });
                                    mp::at_exit([] { throw 1; });
                                    auto now = mp::at_exit([] { throw std::out_of_range("now"); });
                                    support::demand(
                                        support::throws<std::out_of_range>([&] { now.run(); }));
                                    return 3;
                                }};

const support::Program later{"finalizers-later", [] {
                                 std::atexit([] { mp::at_exit(saying("from-atexit")); });
                                 mp::at_exit([] {
                                     say("one ");
                                     mp::at_exit(saying("from-one"), 5);
                                 });
                                 mp::at_exit(saying("two"), -1);
                                 return 0;
                             }};

const support::Program in_children{
    "finalizers-children", [] {
        auto of_parent = mp::at_exit(saying("parent's"));
        mp::Process plain{[&] {
            support::demand(!of_parent.active() && !of_parent.run() && !of_parent.cancel());
            mp::at_exit(saying("child's"));
            say("target ");
        }};
        plain.start();
        plain.join();
        mp::Process exits{[] {
            mp::at_exit(saying("exit's"));
            mp::Process grandchild{[] { mp::at_exit(saying("grandchild's")); }};
            grandchild.start();
            grandchild.join();
            std::exit(5);
        }};
        exits.start();
        exits.join();
        support::demand(exits.exitcode() == 5);
        mp::Process none{[] {}};
        none.start();
        none.join();
        support::demand(of_parent.active());
        return 0;
    }};

/// To destroy it in a child would be wrong: its thread is not there.
struct Guarded {
    pid_t maker = ::getpid();
    ~Guarded() {
        if (maker != ::getpid())
            say("destroyed in a child ");
    }
};

const support::Program move_only{"finalizers-move-only", [] {
                                     mp::at_exit([held = std::make_unique<Guarded>()] {
                                         say(held != nullptr ? "held " : "empty ");
                                     });
                                     mp::Process child{[] { mp::at_exit([] { say("child "); }); }};
                                     child.start();
                                     child.join();
                                     return 0;
                                 }};

} // namespace

BOOST_AUTO_TEST_SUITE(finalizer)

BOOST_AUTO_TEST_CASE(by_priority_and_the_last_one_first) {
    BOOST_TEST(support::run_program("finalizers-order").out ==
               "end very-first first second third last ");
}

BOOST_AUTO_TEST_CASE(a_handle_runs_or_drops_once) {
    const auto result = support::run_program("finalizers-handles");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "early end kept ");
}

BOOST_AUTO_TEST_CASE(an_exception_is_said_and_the_others_run) {
    const auto result = support::run_program("finalizers-throwing");
    BOOST_TEST(result.code == 3);
    BOOST_TEST(result.out == "other ");
    BOOST_TEST(result.err.find("an exit handler threw: on purpose\n") != std::string::npos);
    BOOST_TEST(result.err.find("an exit handler threw\n") != std::string::npos);
    BOOST_TEST(result.err.find("now") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_an_exit_handler_registers_runs) {
    BOOST_TEST(support::run_program("finalizers-later").out == "one from-one two from-atexit ");
}

BOOST_AUTO_TEST_CASE(a_child_runs_its_own_and_nothing_of_its_parents) {
    const auto result = support::run_program("finalizers-children");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "target child's grandchild's exit's parent's ");
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(captures_may_be_movable_only_and_are_not_destroyed_in_a_child) {
    BOOST_TEST(support::run_program("finalizers-move-only").out == "child held ");
}

// A thread may be registering at the moment of the fork.
BOOST_AUTO_TEST_CASE(a_child_of_a_busy_parent_registers_and_runs) {
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop)
            mp::at_exit([] {}).cancel();
    });
    for (int i = 0; i < support::scaled(200); ++i) {
        mp::Process child{[] { mp::at_exit([] { ::_exit(42); }); }};
        child.start();
        child.join();
        BOOST_TEST(child.exitcode().value() == 42);
    }
    stop = true;
    busy.join();
}

BOOST_AUTO_TEST_SUITE_END()
