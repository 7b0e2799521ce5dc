#include <multifork/multifork.hpp>

#include "process/fork_server.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace fs = std::filesystem;

// What a child is and has, whichever way it was started.

namespace {

using Words = mp::Queue<std::string>;

void nest(mp::StartMethod method, Words names, int left) {
    names.put(mp::this_process::name());
    if (left == 0)
        return;
    for (int i = 0; i < 2; ++i) {
        mp::Process child{{.start_method = method}, nest, method, names, left - 1};
        child.start();
        child.join();
        support::demand(child.exitcode() == 0);
    }
}

void descend(mp::StartMethod method, mp::Queue<int> depths, int left) {
    depths.put(left);
    if (left == 0)
        return;
    mp::Process child{{.start_method = method}, descend, method, depths, left - 1};
    child.start();
    child.join();
    support::demand(child.exitcode() == 0);
}

std::size_t resident_pages() {
    std::ifstream file("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    file >> all >> resident;
    return resident;
}

} // namespace

BOOST_AUTO_TEST_SUITE(start_methods_children, *boost::unit_test::timeout(120))

MULTIFORK_EACH_START_METHOD(a_child_knows_who_it_is) {
    Words seen{4};
    mp::Process child = context.process(
        {.name = "worker", .daemon = true},
        [](Words tell) {
            tell.put(mp::this_process::name());
            tell.put(std::to_string(mp::this_process::parent().value().pid) + " " +
                     mp::this_process::parent().value().name);
            tell.put(mp::this_process::daemon() ? "daemon" : "no daemon");
            tell.put(mp::this_process::to_string());
        },
        seen);
    child.start();
    BOOST_TEST(seen.get() == "worker");
    BOOST_TEST(seen.get() == std::to_string(::getpid()) + " " + mp::this_process::name());
    BOOST_TEST(seen.get() == "daemon");
    const std::string text = seen.get();
    BOOST_TEST(text.find("worker") != std::string::npos);
    BOOST_TEST(text.find(std::to_string(child.pid().value())) != std::string::npos);
    support::expect_exit(child);
    support::run_in_child(context, [] { support::demand(!mp::this_process::daemon()); });
}

MULTIFORK_EACH_START_METHOD(a_child_without_a_target_does_nothing) {
    for (const bool has_name : {false, true}) {
        mp::Process child = has_name ? context.process({.name = "idle"}) : context.process();
        BOOST_TEST((child.name() == "idle") == has_name);
        child.start();
        child.join();
        BOOST_TEST((child.exitcode() == 0));
    }
}

MULTIFORK_EACH_START_METHOD(names_of_children_and_grandchildren) {
    Words names{16};
    const std::string stem = context.process([] {}).name(); // the next is one further
    const std::size_t dash = stem.rfind('-');
    const std::string own =
        stem.substr(0, dash + 1) + std::to_string(std::stoi(stem.substr(dash + 1)) + 1);
    support::run_in_child(context, nest, context.start_method(), names, 2);
    for (const char* tail : {"", ":1", ":1:1", ":1:2", ":2", ":2:1", ":2:2"})
        BOOST_TEST(names.get() == own + tail);
}

MULTIFORK_EACH_START_METHOD(the_key_is_the_same_in_the_whole_tree) {
    Words keys{3};
    support::run_in_child(
        context,
        [](Words tell) {
            tell.put(mp::this_process::authkey());
            for (const char* method : {"spawn", "forkserver"}) {
                mp::Process grandchild = mp::get_context(method).process(
                    [](Words out) { out.put(mp::this_process::authkey()); }, tell);
                grandchild.start();
                grandchild.join();
                support::demand(grandchild.exitcode() == 0);
            }
        },
        keys);
    for (int i = 0; i < 3; ++i)
        BOOST_TEST((keys.get() == mp::this_process::authkey()));
    // And one that was set is the children's from then on.
    const std::string before = mp::this_process::authkey();
    mp::this_process::set_authkey(std::string("a key\0with a zero", 17));
    support::run_in_child(
        context, [](Words tell) { tell.put(mp::this_process::authkey()); }, keys);
    BOOST_TEST((keys.get() == std::string("a key\0with a zero", 17)));
    mp::this_process::set_authkey(before);
}

MULTIFORK_EACH_START_METHOD(five_generations) {
    mp::Queue<int> depths{8};
    support::run_in_child(context, descend, context.start_method(), depths, 5);
    for (int depth = 5; depth >= 0; --depth)
        BOOST_TEST((depths.try_get() == depth));
    BOOST_TEST(depths.empty());
}

MULTIFORK_EACH_START_METHOD(exceptions_that_leave_the_target) {
    const auto error_of = [&](auto target, const auto&... args) {
        mp::Process child = context.process({.name = "Doomed"}, target, args...);
        child.start();
        child.join();
        BOOST_TEST(child.exitcode().value() == 1);
        BOOST_TEST_REQUIRE(child.error().has_value());
        return *child.error();
    };
    const mp::RemoteError standard =
        error_of([](const std::string& text) { throw std::out_of_range(text); },
                 std::string("beyond the end"));
    BOOST_TEST(standard.type_name() == "std::out_of_range");
    BOOST_TEST(standard.text().find("beyond the end") != std::string::npos);
    const mp::RemoteError number = error_of([] { throw 42; });
    BOOST_TEST(number.type_name() == "int");
    const mp::RemoteError pointer = error_of([] { throw "text"; });
    BOOST_TEST(pointer.type_name().find("char const*") != std::string::npos);
}

// As at the end of main(): a thread that is joinable and one that is detached look the same.
MULTIFORK_EACH_START_METHOD(threads_that_a_target_leaves_running_end_with_it) {
    support::run_in_child(context, [] {
        static const auto* const left = new std::thread(support::sleep_for_ever); // reachable
        support::demand(left->joinable());
        std::thread(support::sleep_for_ever).detach();
    });
}

// Who wants them waited for, as in Python, gives them to an exit handler.
MULTIFORK_EACH_START_METHOD(a_thread_that_an_exit_handler_joins_is_waited_for) {
    const mp::Value<int> done{0};
    support::run_in_child(
        context,
        [](mp::Value<int> tell) {
            auto target_is_over = std::make_shared<std::atomic<bool>>(false);
            std::thread thread([tell, target_is_over]() mutable {
                support::wait_until([&] { return target_is_over->load(); });
                tell.store(1);
            });
            mp::at_exit([t = std::move(thread)]() mutable { t.join(); });
            mp::at_exit([target_is_over] { *target_is_over = true; }, 5); // runs first
        },
        done);
    BOOST_TEST(done.load() == 1);
}

// With one thread, a child of it inherits no lock that another thread held. (ThreadSanitizer gives
// every process a thread of its own.)
BOOST_AUTO_TEST_CASE(the_fork_server_is_started_on_demand_and_has_one_thread,
                     *boost::unit_test::label("no_tsan")) {
    const support::ServerStops at_the_end;
    const auto context = mp::get_context("forkserver");
    mp::Process child = context.process([] {});
    BOOST_TEST(mp::detail::fork_server_pid() == 0);
    child.start();
    support::expect_exit(child);
    const int server = mp::detail::fork_server_pid();
    BOOST_TEST_REQUIRE(server != 0);
    const std::filesystem::directory_iterator threads("/proc/" + std::to_string(server) + "/task");
    BOOST_TEST(std::distance(begin(threads), end(threads)) == 1);
    support::run_in_child(context, [] {});
    BOOST_TEST(mp::detail::fork_server_pid() == server);
}

// Not those of the thread that first started the fork server.
MULTIFORK_EACH_START_METHOD(a_child_blocks_the_signals_that_its_starter_blocks) {
    const support::ServerStops at_the_end;
    const auto expect = [&](bool blocked) {
        support::run_in_child(
            context,
            [](bool expected) {
                sigset_t set;
                ::pthread_sigmask(SIG_SETMASK, nullptr, &set);
                support::demand((::sigismember(&set, SIGUSR2) == 1) == expected);
                support::demand(::sigismember(&set, SIGINT) == 0);
            },
            blocked);
    };
    sigset_t set;
    sigset_t before;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGUSR2);
    for (const bool blocked : {true, false}) {
        ::pthread_sigmask(blocked ? SIG_BLOCK : SIG_SETMASK, blocked ? &set : &before,
                          blocked ? &before : nullptr);
        expect(blocked);
    }
}

MULTIFORK_EACH_START_METHOD(exit_codes) {
    for (const int code : {0, 1, 3, 255}) {
        mp::Process child = context.process([](int n) { std::exit(n); }, code);
        child.start();
        support::expect_exit(child, code);
        mp::Process quick = context.process([](int n) { ::_exit(n); }, code);
        quick.start();
        support::expect_exit(quick, code);
    }
    for (const int signal : {SIGKILL, SIGTERM, SIGABRT, SIGSEGV}) {
        mp::Process child = context.process(
            [](int number) {
                std::signal(number, SIG_DFL);
                ::raise(number);
            },
            signal);
        child.start();
        support::expect_exit(child, -signal);
    }
}

// As they were at start(); of the fork server, when it was started.
MULTIFORK_EACH_START_METHOD(environment_and_folder_are_inherited) {
    ::setenv("MULTIFORK_TEST_INHERITED", "as it was", 1);
    const fs::path before = fs::current_path();
    fs::current_path("/");
    Words seen{4};
    support::run_in_child(
        context,
        [](Words tell) {
            const char* const variable = std::getenv("MULTIFORK_TEST_INHERITED");
            tell.put(variable != nullptr ? variable : "nothing");
            tell.put(fs::current_path().string());
            tell.put(std::getenv("MULTIFORK_CHILD") == nullptr ? "clean" : "not clean");
        },
        seen);
    fs::current_path(before);
    ::unsetenv("MULTIFORK_TEST_INHERITED");
    BOOST_TEST(seen.get() == "as it was");
    BOOST_TEST(seen.get() == "/");
    BOOST_TEST(seen.get() == "clean");
}

// A program that the child executes gets nothing of the library's.
BOOST_AUTO_TEST_CASE(descriptors_of_a_child_that_was_not_forked) {
    const support::ServerStops at_the_end;
    const int here = ::open("/dev/null", O_RDONLY); // not closed by exec
    BOOST_TEST_REQUIRE(here > 2);
    for (const char* method : {"spawn", "forkserver"})
        support::run_in_child(mp::get_context(method), [] {
            for (int fd = 3; fd < 100; ++fd) {
                const int flags = ::fcntl(fd, F_GETFD);
                support::demand(flags < 0 || (flags & FD_CLOEXEC) != 0);
            }
        });
    ::close(here);
}

MULTIFORK_EACH_START_METHOD(five_hundred_children_in_turn_leave_nothing_behind) {
    const auto one = [&] {
        mp::Process child = context.process([] {});
        child.start();
        child.join();
        return child.exitcode() == 0;
    };
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(one());
    const std::size_t descriptors = support::open_descriptors();
    const auto before = mp::arena::arena_usage();
    [[maybe_unused]] const std::size_t pages = resident_pages();
    const int rounds = support::scaled(500);
    int right = 0;
    for (int i = 0; i < rounds; ++i)
        right += one();
    BOOST_TEST(right == rounds);
    BOOST_TEST(support::open_descriptors() == descriptors);
    BOOST_TEST(mp::arena::arena_usage().bytes_carved == before.bytes_carved);
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used);
#if !defined(__SANITIZE_ADDRESS__)               // which keeps freed memory for a while
    BOOST_TEST(resident_pages() <= pages + 256); // a page a child would be 500
#endif
}

MULTIFORK_EACH_START_METHOD(children_started_by_several_threads_at_once) {
    mp::set_fork_policy(mp::fork_with_threads::allow);
    const mp::Value<int> counter{0};
    const int each = support::scaled(context.start_method() == mp::StartMethod::spawn ? 8 : 30);
    std::atomic<int> right{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    mp::Process child =
                        context.process([](mp::Value<int> n) { n.fetch_add(1); }, counter);
                    child.start();
                    child.join();
                    right += child.exitcode() == 0;
                }
            });
    }
    mp::set_fork_policy(mp::fork_with_threads::warn);
    BOOST_TEST(right == 4 * each);
    BOOST_TEST(counter.load() == 4 * each);
}

BOOST_AUTO_TEST_SUITE_END()
