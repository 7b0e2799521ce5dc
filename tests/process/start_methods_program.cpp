#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/program.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// What becomes of the program around a child: its output, its main(), its static objects and exit
// handlers.

namespace {

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

} // namespace

BOOST_AUTO_TEST_SUITE(start_methods_program)

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

// Whoever runs a set-user-ID program chooses its environment: to obey it would be to run his code.
BOOST_AUTO_TEST_CASE(a_program_with_borrowed_rights_takes_no_orders) {
    if (::geteuid() != 0)
        return; // only root can make such a program that is not its own
    const std::string folder = fmt::format("/tmp/multifork-rights-{}", ::getpid());
    std::filesystem::create_directory(folder);
    const std::string copy = folder + "/program";
    std::filesystem::copy_file("/proc/self/exe", copy);
    BOOST_TEST(::chmod(copy.c_str(), 04755) == 0);
    std::array<int, 2> said{};
    BOOST_TEST(::pipe(said.data()) == 0);
    support::RawChild program([&] {
        ::dup2(said[1], STDERR_FILENO);
        support::demand(::setresuid(65534, 65534, 65534) == 0);
        ::setenv("MULTIFORK_CHILD", "1000.0.1.1000.10.0", 1);
        ::execl(copy.c_str(), "program", "--help", nullptr);
        return 127;
    });
    ::close(said[1]);
    std::string text(1'000, '\0');
    text.resize(
        static_cast<std::size_t>(std::max<ssize_t>(::read(said[0], text.data(), text.size()), 0)));
    ::close(said[0]);
    struct statvfs where {};
    const bool obeys_the_bit =
        ::statvfs(folder.c_str(), &where) == 0 && (where.f_flag & ST_NOSUID) == 0;
    if (const int code = program.wait(); obeys_the_bit) {
        BOOST_TEST(code == 1);
        BOOST_TEST(text.find("takes no orders") != std::string::npos, text);
    }
    std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_SUITE_END()
