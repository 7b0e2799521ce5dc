#include <multifork/multifork.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>

#include <string>
#include <thread>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// What each public type looks like when fmt prints it.

BOOST_AUTO_TEST_SUITE(format)

BOOST_AUTO_TEST_CASE(of_lock) {
    mp::Lock lock;
    BOOST_TEST(fmt::format("{}", lock) == "<Lock free>");
    lock.lock();
    BOOST_TEST(fmt::format("{}", lock) ==
               fmt::format("<Lock held by MainProcess pid {}>", getpid()));
    lock.unlock();
    std::thread([&] { lock.lock(); }).join();
    BOOST_TEST(fmt::format("{}", lock) == "<Lock owner died>");
}

BOOST_AUTO_TEST_CASE(of_lock_held_by_a_child) {
    mp::Lock lock;
    mp::Queue<int> gate{1};
    mp::Queue<int> held{1};
    mp::Process child{{.name = "keeper"}, [&] {
                          lock.lock();
                          held.put(1);
                          static_cast<void>(gate.get());
                          lock.unlock();
                      }};
    child.start();
    static_cast<void>(held.get());
    BOOST_TEST(fmt::format("{}", lock) ==
               fmt::format("<Lock held by keeper pid {}>", child.pid().value()));
    gate.put(1);
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(of_semaphore) {
    BOOST_TEST(fmt::format("{}", mp::Semaphore{2}) == "<Semaphore value=2>");
}

BOOST_AUTO_TEST_CASE(of_value) {
    BOOST_TEST(fmt::format("{}", mp::Value<int>{7}) == "<Value 7>");
    BOOST_TEST(fmt::format("{}", mp::Value<double>{2.5}) == "<Value 2.5>");
    struct Point {
        int x, y;
    };
    BOOST_TEST(fmt::format("{}", mp::Value<Point>{}) == "<Value of 8 bytes>");
}

BOOST_AUTO_TEST_CASE(of_queue) {
    mp::Queue<int> queue{64};
    BOOST_TEST(fmt::format("{}", queue) == "<Queue 0/64 open>");
    queue.put(1);
    queue.close();
    BOOST_TEST(fmt::format("{}", queue) == "<Queue 1/64 closed>");
    BOOST_TEST(fmt::format("{}", mp::Queue<std::string>{3}) == "<Queue 0/3 open>");
}

BOOST_AUTO_TEST_CASE(of_process_in_each_of_its_states) {
    mp::Queue<int> gate{1};
    mp::Process child{{.name = "worker", .daemon = true}, [&] { static_cast<void>(gate.get()); }};
    const std::string parent = fmt::format("parent={}", getpid());
    BOOST_TEST(fmt::format("{}", child) ==
               fmt::format("<Process name='worker' {} initial daemon>", parent));
    child.start();
    const std::string pid = fmt::format("pid={}", child.pid().value());
    BOOST_TEST(fmt::format("{}", child) ==
               fmt::format("<Process name='worker' {} {} started daemon>", pid, parent));
    gate.put(1);
    child.join();
    BOOST_TEST(fmt::format("{}", child) ==
               fmt::format("<Process name='worker' {} {} stopped daemon>", pid, parent));
    child.close();
    BOOST_TEST(fmt::format("{}", child) ==
               fmt::format("<Process name='worker' {} {} closed daemon>", pid, parent));

    mp::Process killed{{.name = "killed"}, [&] { static_cast<void>(gate.get()); }};
    killed.start();
    killed.kill();
    killed.join();
    BOOST_TEST(fmt::format("{}", killed).find("stopped exitcode=-9>") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(of_this_process) {
    BOOST_TEST(mp::this_process::to_string() ==
               fmt::format("<MainProcess name='MainProcess' pid={} started>", getpid()));
    const int parent = getpid();
    mp::Process child{
        {.name = "child"}, [parent] {
            support::demand(
                mp::this_process::to_string() ==
                fmt::format("<Process name='child' pid={} parent={} started>", getpid(), parent));
        }};
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(width_and_alignment_are_honoured) {
    BOOST_TEST(fmt::format("{:>14}|{:<14}|", mp::Lock{}, mp::Value<int>{1}) ==
               "   <Lock free>|<Value 1>     |");
}

BOOST_AUTO_TEST_SUITE_END()
