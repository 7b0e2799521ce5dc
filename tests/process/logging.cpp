#include <multifork/process/context.hpp>
#include <multifork/process/logging.hpp>
#include <multifork/process/process.hpp>

#include "platform/log.hpp"
#include "support/children.hpp"
#include "support/program.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <regex>
#include <source_location>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using mp::LogLevel;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

const support::Program silent{"log-silent", [] {
                                  mp::get_logger().critical("nobody asked for this");
                                  mp::get_logger().set_level(LogLevel::subdebug);
                                  mp::info("nor this");
                                  return 0;
                              }};

const support::Program levels{"log-levels", [] {
                                  mp::Logger& log = mp::log_to_stderr();
                                  log.info("not shown: notset is warning");
                                  log.warning("warning {}", 1);
                                  mp::log_to_stderr(LogLevel::subdebug); // still one line each
                                  mp::sub_debug("sub_debug {}", 2);
                                  mp::debug("debug {}", std::string("three"));
                                  mp::info("info {:.1f}", 4.0);
                                  mp::sub_warning("sub_warning {}", 5);
                                  log.error("error");
                                  log.critical("critical");
                                  log.log(LogLevel{17}, "seventeen");
                                  log.set_level(LogLevel::error);
                                  if (log.is_enabled_for(LogLevel::warning) ||
                                      !log.is_enabled_for(LogLevel::error) ||
                                      log.level() != LogLevel::error)
                                      return 1;
                                  log.warning("not shown");
                                  log.error("shown");
                                  return 0;
                              }};

const support::Program inherited{
    "log-inherited", [] {
        mp::log_to_stderr(LogLevel::info);
        mp::Process child = mp::get_context(std::getenv("METHOD")).process({.name = "Child"}, [] {
            mp::info("from the child {}", ::getpid());
            mp::get_logger().set_level(LogLevel::error);
            mp::info("not shown");
        });
        child.start();
        child.join();
        mp::info("the parent's level is its own");
        return 0;
    }};

constexpr int per_thread = 200;

// Lines from several processes, each with two threads, one of which starts the next process while
// the other one writes.
void write_lines(int depth) {
    const auto write = [depth](int thread) {
        for (int i = 0; i < per_thread; ++i)
            mp::info("depth {} thread {} line {} {}", depth, thread, i, std::string(200, 'x'));
    };
    std::thread other(write, 1);
    mp::Process child{[depth] {
        if (depth < 4)
            write_lines(depth + 1);
    }};
    child.start();
    write(0);
    other.join();
    child.join();
    support::demand(child.exitcode() == 0);
}

const support::Program many{"log-many", [] {
                                mp::log_to_stderr(LogLevel::info);
                                write_lines(0);
                                return 0;
                            }};

const support::Program closed_stderr{"log-closed", [] {
                                         mp::log_to_stderr(LogLevel::info);
                                         ::close(STDERR_FILENO);
                                         errno = EXDEV;
                                         mp::info("to nobody");
                                         return errno == EXDEV ? 0 : 1;
                                     }};

// A reader that is slow, and a stderr that somebody has made non-blocking.
const support::Program nonblocking{"log-nonblocking", [] {
                                       ::fcntl(STDERR_FILENO, F_SETFL,
                                               ::fcntl(STDERR_FILENO, F_GETFL) | O_NONBLOCK);
                                       mp::log_to_stderr(LogLevel::info);
                                       for (int i = 0; i < 5000; ++i)
                                           mp::info("line {} {}", i, std::string(100, 'y'));
                                       return 0;
                                   }};

const support::Program low_floor{"log-low-floor", [] {
                                     namespace platform = mp::platform;
                                     platform::log(LogLevel::info, "not shown");
                                     mp::log_to_stderr(LogLevel::info);
                                     const auto kept = platform::log_state();
                                     platform::set_log_state({});
                                     platform::log(LogLevel::info, "not shown either");
                                     platform::set_log_state(
                                         kept); // as a child would that is told its parent's
                                     platform::log(LogLevel::info, "shown");
                                     return mp::get_logger().level() == LogLevel::info ? 0 : 1;
                                 }};

} // namespace

BOOST_AUTO_TEST_SUITE(logging)

BOOST_AUTO_TEST_CASE(silent_until_asked) {
    const auto result = support::run_program("log-silent");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(levels_and_the_format_of_a_line) {
    const auto result = support::run_program("log-levels");
    BOOST_TEST(result.code == 0);
    const std::vector<std::pair<std::string, std::string>> expected{
        {"WARNING", "warning 1"}, {"SUBDEBUG", "sub_debug 2"},     {"DEBUG", "debug three"},
        {"INFO", "info 4.0"},     {"SUBWARNING", "sub_warning 5"}, {"ERROR", "error"},
        {"CRITICAL", "critical"}, {"Level 17", "seventeen"},       {"ERROR", "shown"}};
    const auto lines = lines_of(result.err);
    BOOST_REQUIRE(lines.size() == expected.size());
    const std::regex form(R"(\[(.+)/MainProcess\] \[(\d+) logging\.cpp:(\d+)\] (.*))");
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::smatch parts;
        BOOST_REQUIRE_MESSAGE(std::regex_match(lines[i], parts, form), lines[i]);
        BOOST_TEST(parts[1].str() == expected[i].first);
        BOOST_TEST(parts[4].str() == expected[i].second);
    }
}

MULTIFORK_EACH_START_METHOD(a_child_has_its_parents_level_and_its_own_name) {
    const auto lines = lines_of(
        support::run_program("log-inherited", {{"METHOD", context.get_start_method()}}).err);
    std::vector<std::string> told; // by the program, not by the library
    for (const std::string& line : lines)
        if (line.find("logging.cpp") != std::string::npos)
            told.push_back(line);
    BOOST_REQUIRE(told.size() == 2u);
    std::smatch parts;
    BOOST_REQUIRE_MESSAGE(
        std::regex_match(told[0], parts,
                         std::regex(R"(\[INFO/Child\] \[(\d+) .*\] from the child (\d+))")),
        told[0]);
    BOOST_TEST(parts[1].str() == parts[2].str());
    BOOST_TEST(told[1].starts_with("[INFO/MainProcess]"));
}

// Its children are forked beside a thread and start threads: ThreadSanitizer ends such a process,
// and AddressSanitizer's allocator may be locked in it for ever.
BOOST_AUTO_TEST_CASE(lines_of_threads_and_processes_do_not_mix,
                     *boost::unit_test::label("no_tsan") * boost::unit_test::label("no_asan")) {
    const auto result = support::run_program("log-many");
    BOOST_TEST(result.code == 0);
    const std::regex form(
        R"(\[INFO/[^\]]+\] \[\d+ logging\.cpp:\d+\] depth (\d) thread (\d) line (\d+) x{200})");
    std::map<std::pair<int, int>, int> next;
    for (const std::string& line : lines_of(result.err)) {
        if (line.find("logging.cpp") == std::string::npos)
            continue; // the library's own
        std::smatch parts;
        BOOST_REQUIRE_MESSAGE(std::regex_match(line, parts, form), line);
        BOOST_TEST((next[{std::stoi(parts[1]), std::stoi(parts[2])}]++) == std::stoi(parts[3]));
    }
    BOOST_TEST(next.size() == 10u);
    for (const auto& [writer, count] : next)
        BOOST_TEST(count == per_thread);
}

BOOST_AUTO_TEST_CASE(a_closed_stderr_harms_nobody_and_errno_is_kept) {
    BOOST_TEST(support::run_program("log-closed").code == 0);
}

BOOST_AUTO_TEST_CASE(a_nonblocking_stderr_loses_nothing) {
    const auto lines = lines_of(support::run_program("log-nonblocking").err);
    BOOST_TEST(lines.size() == 5000u);
}

BOOST_AUTO_TEST_CASE(the_librarys_own_floors_log_and_a_child_can_be_told_the_state) {
    const auto result = support::run_program("log-low-floor");
    BOOST_TEST(result.code == 0);
    const auto lines = lines_of(result.err);
    BOOST_REQUIRE(lines.size() == 1u);
    BOOST_TEST(lines[0].ends_with("] shown"));
}

BOOST_AUTO_TEST_SUITE_END()
