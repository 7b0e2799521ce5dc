#include <multifork/channel/queue.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>
#include <multifork/sync/lock.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

void say_name() {
    fmt::print("{}\n", mp::this_process::name());
}

template <class F>
void run(F target) {
    mp::Process child{target};
    child.start();
    child.join();
}

const support::Program nested{"nested-names", [] {
                                  say_name();
                                  run([] {
                                      say_name();
                                      run([] {
                                          say_name();
                                          run(say_name);
                                      });
                                      run(say_name);
                                  });
                                  run([] {
                                      say_name();
                                      run(say_name);
                                  });
                                  return 0;
                              }};

bool is_active(const mp::ProcessHandle& child) {
    const auto active = mp::active_children();
    return std::any_of(active.begin(), active.end(),
                       [&](const auto& other) { return other.pid() == child.pid(); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(children_are_numbered_from_one_in_each_process) {
    const auto result = support::run_program("nested-names");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "MainProcess\n"
                             "Process-1\n"
                             "Process-1:1\n"
                             "Process-1:1:1\n"
                             "Process-1:2\n"
                             "Process-2\n"
                             "Process-2:1\n");
}

BOOST_AUTO_TEST_CASE(a_given_name_is_kept) {
    mp::Process child{{.name = "second"}, [] {
                          support::demand(mp::this_process::name() == "second");
                          support::demand(mp::this_process::pid() == getpid());
                      }};
    BOOST_TEST(child.name() == "second");
    child.set_name("third");
    child.set_name("second");
    child.start();
    support::expect_exit(child);
    BOOST_TEST(child.name() == "second");
}

BOOST_AUTO_TEST_CASE(overlong_names_are_kept_by_the_process) {
    const std::string name(10'000, 'n');
    mp::Process child{{.name = name}, [&] { support::demand(mp::this_process::name() == name); }};
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(parent_is_known_to_the_child_and_nobody_to_the_main_process) {
    BOOST_TEST(!mp::this_process::parent().has_value());
    const int parent = getpid();
    mp::Process child{{.name = "middle"}, [parent] {
                          support::demand(mp::this_process::parent()->pid == parent);
                          support::demand(mp::this_process::parent()->name == "MainProcess");
                          support::demand(mp::this_process::ppid() == parent);
                          const int middle = getpid();
                          mp::Process grandchild{[middle] {
                              support::demand(mp::this_process::parent()->pid == middle);
                              support::demand(mp::this_process::parent()->name == "middle");
                          }};
                          grandchild.start();
                          grandchild.join();
                          support::demand(grandchild.exitcode() == 0);
                      }};
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(the_name_can_be_changed_from_inside) {
    mp::Lock lock;
    mp::Process child{[&] {
        mp::this_process::set_name("renamed");
        support::demand(mp::this_process::name() == "renamed");
        lock.lock();
        support::demand(lock.owner()->process == "renamed");
        lock.unlock();
    }};
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(active_children_are_those_that_run) {
    mp::Queue<int> gate{2};
    mp::Process one{[&] { static_cast<void>(gate.get()); }};
    mp::Process two{[&] { static_cast<void>(gate.get()); }};
    BOOST_TEST(mp::active_children().empty());
    one.start();
    two.start();
    BOOST_TEST(mp::active_children().size() == 2U);
    BOOST_TEST(is_active(one));
    gate.put(1);
    gate.put(1);
    one.join();
    two.join();
    BOOST_TEST(mp::active_children().empty());
}

BOOST_AUTO_TEST_CASE(active_children_reaps_those_that_have_ended) {
    mp::Process child{[] {}};
    child.start();
    const int pid = child.pid().value();
    support::wait_until([] { return mp::active_children().empty(); });
    BOOST_TEST(support::state_of(pid) == 'X'); // not even a zombie is left
    BOOST_TEST(child.exitcode().value() == 0);
}

BOOST_AUTO_TEST_CASE(a_childs_siblings_are_not_its_children) {
    mp::Queue<int> gate{1};
    mp::Process first{[&] { static_cast<void>(gate.get()); }};
    first.start();
    support::run_in_child([] { support::demand(mp::active_children().empty()); });
    gate.put(1);
    support::expect_exit(first);
}

BOOST_AUTO_TEST_SUITE_END()
