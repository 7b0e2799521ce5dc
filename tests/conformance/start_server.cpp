#include <multifork/multifork.hpp>

#include "process/fork_server.hpp"
#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

/// Sends a signal to the fork server while a child of it runs. \return whether it survived
bool server_gets(int signal) {
    const support::ServerStops at_the_end;
    const auto context = mp::get_context("forkserver");
    const mp::Event ran;
    mp::Event may_end;
    mp::Process first = context.process(
        [](mp::Event tell, mp::Event end) {
            end.wait();
            tell.set();
            std::exit(7);
        },
        ran, may_end);
    first.start();
    const int server = mp::detail::fork_server_pid();
    BOOST_TEST(server != 0);
    ::kill(server, signal);
    if (signal != SIGINT)
        support::wait_until([&] { return !support::runs(server); });

    const mp::Event second_ran;
    mp::Process second = context.process([](mp::Event tell) { tell.set(); }, second_ran);
    second.start();
    support::expect_exit(second);
    BOOST_TEST(second_ran.is_set());

    BOOST_TEST(!ran.is_set());
    BOOST_TEST(first.is_alive());
    may_end.set();
    support::expect_exit(first, 7); // in Python, 255 when the server has gone
    BOOST_TEST(ran.is_set());
    return mp::detail::fork_server_pid() == server;
}

/// Made while the program's static objects are, if the case says so: before any main(), and in the
/// fork server before it serves.
const std::optional<mp::Lock> static_lock =
    std::getenv("STATIC_LOCK") != nullptr ? std::optional<mp::Lock>(std::in_place) : std::nullopt;

const support::Program preloading{
    "preload", [] {
        if (const char* library = std::getenv("PRELOAD"))
            mp::set_forkserver_preload({library});
        mp::Process child{{.start_method = mp::start_method_of(std::getenv("METHOD"))}, [] {
                              mp::Lock lock = static_lock ? *static_lock : mp::Lock();
                              const std::scoped_lock hold(lock);
                              const bool loaded = std::getenv("PRELOAD") == nullptr ||
                                                  std::getenv("PRELOADED_IN") != nullptr;
                              std::printf(loaded ? "ok" : "not loaded");
                          }};
        child.start();
        child.join();
        return child.exitcode().value();
    }};

} // namespace

/// The library that is preloaded makes a Lock while it loads.
extern "C" [[gnu::visibility("default")]] void multifork_test_lock_of_a_library() {
    static const auto* const lock = new mp::Lock; // for as long as the process
    static_cast<void>(lock->to_string());
}

BOOST_AUTO_TEST_SUITE(start)

// Our server does not mind Ctrl-C: it is meant for the program.
BOOST_AUTO_TEST_CASE(T_003_a_server_that_is_interrupted_forkserver) {
    BOOST_TEST(server_gets(SIGINT));
}

BOOST_AUTO_TEST_CASE(T_003_a_server_that_is_terminated_forkserver) {
    BOOST_TEST(!server_gets(SIGTERM));
}

BOOST_AUTO_TEST_CASE(T_003_a_server_that_is_killed_forkserver) {
    BOOST_TEST(!server_gets(SIGKILL));
}

MULTIFORK_EACH_START_METHOD(T_009_a_static_lock_that_is_made_before_main) {
    const auto result = support::run_program(
        "preload", {{"STATIC_LOCK", "1"}, {"METHOD", context.get_start_method()}});
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "ok");
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(T_009_a_preloaded_library_that_makes_a_lock_forkserver) {
    const auto result = support::run_program(
        "preload", {{"PRELOAD", MULTIFORK_TEST_PRELOADED}, {"METHOD", "forkserver"}});
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "ok");
    BOOST_TEST(result.err == "");
}

// The children try it once more if they need it.
BOOST_AUTO_TEST_CASE(T_009_a_library_that_is_not_there_forkserver) {
    const auto result = support::run_program(
        "preload", {{"PRELOAD", "/nowhere/at-all.so"}, {"METHOD", "forkserver"}});
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "not loaded");
    BOOST_TEST(result.err.find("/nowhere/at-all.so") != std::string::npos, result.err);
}

BOOST_AUTO_TEST_SUITE_END()
