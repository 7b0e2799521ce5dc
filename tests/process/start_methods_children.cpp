#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

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

mp::Context context_of_program() {
    return mp::get_context(std::getenv("METHOD"));
}
support::ProgramResult run_program(const char* name, const mp::Context& context) {
    return support::run_program(name, {{"METHOD", context.get_start_method()}});
}

/// What was said before start() stands before what the child says, and nothing is said twice.
const support::Program output{"output of each start method", [] {
                                  std::printf("1 ");
                                  std::cout << "2 ";
                                  mp::Process child = context_of_program().process([] {
                                      std::printf("3 ");
                                      std::cout << "4 ";
                                  });
                                  child.start();
                                  child.join();
                                  std::printf("5");
                                  std::cout << " 6";
                                  return child.exitcode().value();
                              }};

/// At the exits of the child and of its parent.
struct Says {
    const char* text;
    ~Says() {
        if (text != nullptr)
            std::printf("%s in %s\n", text, getpid() == main_pid() ? "main" : "child");
    }
    static int main_pid() { return std::atoi(std::getenv("MAIN_PID")); }
};

const support::Program exits{"exit handlers of each start method", [] {
                                 ::setenv("MAIN_PID", std::to_string(::getpid()).c_str(), 1);
                                 static const Says kept{"static object"};
                                 std::atexit([] { std::printf("handler of main\n"); });
                                 mp::Process child = context_of_program().process([] {
                                     std::atexit([] { std::printf("handler of child 1\n"); });
                                     std::atexit([] { std::printf("handler of child 2\n"); });
                                     static const Says local{"local static object"};
                                     std::exit(6);
                                 });
                                 child.start();
                                 child.join();
                                 return child.exitcode().value();
                             }};

/// Has no guard against being spawned: its main() spawns.
const support::Program unguarded{"unguarded", [] {
                                     std::printf("main\n");
                                     std::fflush(stdout);
                                     mp::Process child = context_of_program().process(
                                         [] { std::printf("child\n"); });
                                     child.start();
                                     child.join();
                                     return child.exitcode().value();
                                 }};

/// Spawns while the program's static objects are made, if the case says so, and the child has the
/// same static object.
const std::string static_object_said = [] {
    if (std::getenv("SPAWNS_STATICALLY") == nullptr)
        return std::string();
    const bool in_program = std::getenv("MULTIFORK_TEST_PROGRAM") != nullptr;
    ::unsetenv("MULTIFORK_TEST_PROGRAM"); // not for the child
    try {
        mp::Process child = context_of_program().process([] { std::printf("child\n"); });
        child.start();
        child.join();
    } catch (const mp::ProcessError& error) {
        std::printf("%s\n", error.what());
    }
    if (in_program)
        ::setenv("MULTIFORK_TEST_PROGRAM", "spawned by a static object", 1);
    return std::string();
}();
const support::Program static_spawner{"spawned by a static object", [] {
                                          std::printf("main\n");
                                          return 0;
                                      }};

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

struct Plain {
    int number;
    std::array<char, 8> text;
};
struct Mixed {
    std::string text;
    std::vector<int> numbers;
};

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

MULTIFORK_EACH_START_METHOD(output_is_neither_lost_nor_doubled) {
    const auto result = run_program("output of each start method", context);
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "1 2 3 4 5 6");
    BOOST_TEST(result.err == "");
}

// A forked child leaves its parent's static objects alone. One of the other methods has its own,
// and so runs their destructors; this one was not made there, for main() was not entered.
MULTIFORK_EACH_START_METHOD(exit_handlers_and_static_objects) {
    const auto result = run_program("exit handlers of each start method", context);
    BOOST_TEST(result.code == 6);
    BOOST_TEST(result.out == "local static object in child\nhandler of child 2\n"
                             "handler of child 1\nhandler of main\nstatic object in main\n");
    BOOST_TEST(result.err == "");
}

// main() is not entered in a child, so that it cannot spawn itself for ever.
MULTIFORK_EACH_START_METHOD(a_main_without_a_guard) {
    const auto result = run_program("unguarded", context);
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "main\nchild\n");
    BOOST_TEST(result.err == "");
}

// The static object that spawns is made in the child too: it must not do it there.
BOOST_AUTO_TEST_CASE(a_static_object_that_spawns) {
    const auto result = support::run_program("spawned by a static object",
                                             {{"METHOD", "spawn"}, {"SPAWNS_STATICALLY", "yes"}});
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out.find("static object, while this process is itself being spawned") !=
                   std::string::npos,
               result.out);
    BOOST_TEST(result.out.ends_with("\nchild\nmain\n"), result.out);
    BOOST_TEST(result.err == "");
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

MULTIFORK_EACH_START_METHOD(arguments_of_all_kinds) {
    using Either = std::variant<int, mp::Queue<int>>;
    mp::Queue<int> sum{8};
    const auto target =
        [](int n, const std::string& s, const Plain& plain, const Mixed& mixed,
           const std::vector<mp::Queue<int>>& queues, const std::tuple<int, mp::Lock>& both,
           const std::optional<mp::Value<int>>& some, const std::optional<mp::Value<int>>& none,
           std::map<std::string, mp::Queue<int>> named, Either either,
           void (*function)(mp::Queue<int>)) {
            support::demand(n == 1 && s == "two" && plain.number == 3 && plain.text[1] == 'b');
            support::demand(mixed.text == "mixed" && mixed.numbers == std::vector<int>{4, 5});
            support::demand(queues.size() == 2 && std::get<0>(both) == 6);
            mp::Lock lock = std::get<1>(both);
            support::demand(lock.owner().has_value() && !lock.try_lock());
            support::demand(some.value().load() == 7 && !none.has_value());
            for (mp::Queue<int> each : queues)
                each.put(1);
            named.at("a").put(1);
            std::get<mp::Queue<int>>(either).put(1);
            function(queues[0]);
        };
    const mp::Value<int> seven{7};
    mp::Lock lock;
    const std::scoped_lock hold(lock);
    support::run_in_child(
        context, target, 1, std::string("two"), Plain{3, {"ab"}}, Mixed{"mixed", {4, 5}},
        std::vector{sum, sum}, std::tuple<int, mp::Lock>{6, lock}, std::optional(seven),
        std::optional<mp::Value<int>>(), std::map<std::string, mp::Queue<int>>{{"a", sum}},
        Either(sum), +[](mp::Queue<int> out) { out.put(1); });
    BOOST_TEST(sum.size() == 5u);
}

MULTIFORK_EACH_START_METHOD(a_closure_that_captures_by_value) {
    mp::Queue<int> out{1};
    const Plain plain{40, {"ab"}};
    const int two = 2;
    support::run_in_child(
        context, [plain, two](mp::Queue<int> tell) { tell.put(plain.number + two); }, out);
    BOOST_TEST(out.get() == 42);
}

// The order keeps it until the child has it, and then the child does.
MULTIFORK_EACH_START_METHOD(the_parent_drops_its_handles_right_after_start) {
    mp::Event go;
    mp::Queue<int> result{1};
    std::optional<mp::Process> child;
    const auto before = mp::arena::arena_usage().blocks_used;
    {
        mp::Queue<int> queue{4};
        const mp::Value<int> value{2};
        const mp::Lock lock;
        queue.put(40);
        child = context.process(
            [](mp::Event gate, mp::Queue<int> q, mp::Value<int> v, mp::Lock l, mp::Queue<int> out) {
                gate.wait();
                const std::scoped_lock hold(l);
                out.put(q.get() + v.load());
            },
            go, queue, value, lock, result);
        child->start();
    }
    // Others come to lie where the dropped ones would have been.
    std::vector<mp::Value<int>> in_their_place(20, mp::Value<int>{-1});
    go.set();
    support::expect_exit(*child);
    BOOST_TEST((result.try_get() == 42));
    child.reset();
    in_their_place.clear();
    mp::arena::tree_space().sweep();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before);
}

MULTIFORK_EACH_START_METHOD(named_objects_as_arguments) {
    const std::string name = "start-" + context.get_start_method() + std::to_string(::getpid());
    std::optional<mp::Process> child;
    auto result = mp::Queue<int>::create(name + "-result", 1);
    {
        auto queue = mp::Queue<int>::create(name + "-queue", 1);
        const auto lock = mp::Lock::create(name + "-lock");
        queue.put(42);
        child = context.process(
            [](mp::Queue<int> in, mp::Lock l, mp::Queue<int> out) {
                const std::scoped_lock hold(l);
                out.put(in.get());
            },
            queue, lock, result);
        child->start();
    } // kept for the child, although this process has dropped it
    support::expect_exit(*child);
    BOOST_TEST((result.try_get() == 42));
    child.reset();
    BOOST_CHECK_THROW(static_cast<void>(mp::Queue<int>::open(name + "-queue", 1)), mp::NotFound);
}

MULTIFORK_EACH_START_METHOD(an_end_of_a_pipe_as_an_argument) {
    auto [reader, writer] = mp::Pipe<std::string>(false);
    mp::Process child = context.process(
        [](mp::Connection<std::string> theirs, mp::Connection<std::string> out) {
            theirs.close();
            out.send("hello");
        },
        reader, writer);
    child.start();
    writer.close();
    BOOST_TEST(reader.recv() == "hello");
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    support::expect_exit(child);
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
    const std::size_t pages = resident_pages();
    const int rounds = support::scaled(500);
    int right = 0;
    for (int i = 0; i < rounds; ++i)
        right += one();
    BOOST_TEST(right == rounds);
    BOOST_TEST(support::open_descriptors() == descriptors);
    BOOST_TEST(mp::arena::arena_usage().bytes_carved == before.bytes_carved);
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used);
    BOOST_TEST(resident_pages() <= pages + 256); // a page a child would be 500
}

MULTIFORK_EACH_START_METHOD(children_started_by_several_threads_at_once) {
    mp::set_fork_policy(mp::fork_with_threads::allow);
    mp::Value<int> counter{0};
    const mp::Lock lock;
    const int each = support::scaled(8);
    std::atomic<int> right{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    mp::Process child = context.process(
                        [](mp::Lock l, mp::Value<int> n) {
                            const std::scoped_lock hold(l);
                            n.value() += 1;
                        },
                        lock, counter);
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
