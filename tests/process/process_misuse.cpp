#include <multifork/error.hpp>
#include <multifork/process/process.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <optional>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

/// The same check in a child.
template <class F>
void demand_process_error(F act, std::string_view word) {
    try {
        act();
    } catch (const mp::ProcessError& error) {
        support::demand(std::string_view(error.what()).find(word) != std::string_view::npos);
        return;
    }
    support::demand(false);
}

} // namespace

BOOST_AUTO_TEST_SUITE(process_misuse)

BOOST_AUTO_TEST_CASE(start_twice) {
    mp::Process child{{.name = "twice"}, [] {}};
    child.start();
    support::expect_error<mp::ProcessError>([&] { child.start(); }, {"twice", "another Process"});
    support::expect_exit(child);
    support::expect_error<mp::ProcessError>([&] { child.start(); }, {"twice", "another Process"});
}

BOOST_AUTO_TEST_CASE(everything_that_needs_a_start_before_start) {
    mp::Process child{{.name = "early"}, [] {}};
    const std::initializer_list<std::string_view> words{"early", "start"};
    support::expect_error<mp::ProcessError>([&] { child.join(); }, words);
    support::expect_error<mp::ProcessError>(
        [&] { static_cast<void>(child.try_join_for(std::chrono::seconds(0))); }, words);
    support::expect_error<mp::ProcessError>([&] { child.terminate(); }, words);
    support::expect_error<mp::ProcessError>([&] { child.kill(); }, words);
    support::expect_error<mp::ProcessError>([&] { child.interrupt(); }, words);
    support::expect_error<mp::ProcessError>([&] { static_cast<void>(child.sentinel()); }, words);
    child.start(); // and it can still be started
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(options_after_start) {
    mp::Process child{[] {}};
    child.start();
    support::expect_error<mp::ProcessError>([&] { child.set_name("late"); }, {"before"});
    support::expect_error<mp::ProcessError>([&] { child.set_daemon(true); }, {"before"});
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(join_oneself) {
    std::optional<mp::ProcessHandle> self;
    mp::Process child{{.name = "self"}, [&] {
                          demand_process_error([&] { self->join(); }, "itself");
                          demand_process_error([&] { self->terminate(); }, "itself");
                          support::demand(self->is_alive());
                      }};
    self = child;
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(join_by_a_sibling_and_start_by_a_child) {
    mp::Process sibling{[] { pause(); }};
    sibling.start();
    mp::Process unstarted{[] {}};
    support::run_in_child([&] {
        demand_process_error([&] { sibling.join(); }, "not its parent");
        demand_process_error([&] { sibling.kill(); }, "not its parent");
        demand_process_error([&] { unstarted.start(); }, "another process");
    });
    BOOST_TEST(sibling.is_alive()); // the child's copies of both went without a word
    sibling.kill();
    support::expect_exit(sibling, -SIGKILL);
}

BOOST_AUTO_TEST_CASE(close_while_it_runs_and_everything_after_close) {
    mp::Process child{{.name = "closed"}, [] { pause(); }};
    child.start();
    support::expect_error<mp::ProcessError>([&] { child.close(); }, {"closed", "running"});
    BOOST_TEST(child.is_alive());
    child.kill();
    child.join();
    child.close();
    child.close(); // twice is once
    const std::initializer_list<std::string_view> words{"closed"};
    support::expect_error<mp::ProcessError>([&] { child.join(); }, words);
    support::expect_error<mp::ProcessError>([&] { child.terminate(); }, words);
    support::expect_error<mp::ProcessError>([&] { child.start(); }, words);
    support::expect_error<mp::ProcessError>([&] { static_cast<void>(child.is_alive()); }, words);
    support::expect_error<mp::ProcessError>([&] { static_cast<void>(child.exitcode()); }, words);
    support::expect_error<mp::ProcessError>([&] { static_cast<void>(child.error()); }, words);
    BOOST_TEST(child.name() == "closed");
}

BOOST_AUTO_TEST_CASE(no_room_for_another_process) {
    // Only for a user without privileges: the limit does not bind root.
    support::RawChild runner([] {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            return 77;
        const rlimit none{0, 0};
        support::demand(setrlimit(RLIMIT_NPROC, &none) == 0);
        mp::Process child{[] {}};
        try {
            child.start();
        } catch (const mp::ProcessError& error) {
            support::demand(std::string_view(error.what()).find("fork") != std::string_view::npos);
            support::demand(!child.pid().has_value());
            support::demand(!child.is_alive());
            return 0;
        }
        return 1;
    });
    BOOST_TEST(runner.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
