#include <multifork/channel/queue.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/start_method.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// What a program and its children write, and what runs at their ends. Each program writes into a
// pipe, so that stdout is fully buffered.

namespace {

template <class F>
void run(F target) {
    mp::Process child{{.name = "child"}, target};
    child.start();
    child.join();
}

const support::Program printf_program{"printf", [] {
                                          std::printf("before ");
                                          run([] { std::printf("child "); });
                                          std::printf("between ");
                                          run([] {
                                              std::printf("exits ");
                                              std::exit(3);
                                          });
                                          run([] {
                                              std::printf("throws ");
                                              throw std::runtime_error("on purpose");
                                          });
                                          run([] {
                                              std::printf("nested ");
                                              run([] { std::printf("grandchild "); });
                                              std::printf("nested-end ");
                                          });
                                          std::printf("end\n");
                                          return 0;
                                      }};

const support::Program cout_program{"cout", [] {
                                        std::cout << "before ";
                                        run([] { std::cout << "child "; });
                                        std::cout << "end\n";
                                        return 0;
                                    }};

const support::Program unsynced_program{"cout-unsynced", [] {
                                            std::ios::sync_with_stdio(false);
                                            std::cout << "before ";
                                            run([] { std::cout << "child "; });
                                            run([] {
                                                std::cout << "exits ";
                                                std::exit(0);
                                            });
                                            std::cout << "end\n";
                                            return 0;
                                        }};

const support::Program killed_program{"killed-child", [] {
                                          std::printf("before ");
                                          run([] {
                                              std::printf("lost");
                                              std::raise(SIGABRT); // TSan's abort() flushes
                                          });
                                          std::printf("end\n");
                                          return 0;
                                      }};

const support::Program file_program{"file-buffers", [] {
                                        std::FILE* const file = std::tmpfile();
                                        std::fprintf(file, "parent ");
                                        run([file] { std::fprintf(file, "child "); });
                                        std::fprintf(file, "end");
                                        std::rewind(file);
                                        char text[100] = {};
                                        const auto n = std::fread(text, 1, sizeof text - 1, file);
                                        std::printf("%.*s\n", static_cast<int>(n), text);
                                        return 0;
                                    }};

// Not std::printf's buffer but write(), so that each line shows who ran what, once.
void say(const char* text) {
    static_cast<void>(!write(STDOUT_FILENO, text, std::char_traits<char>::length(text)));
}

const support::Program handlers_program{
    "handlers", [] {
        struct Static {
            ~Static() { say("static destructor\n"); }
        };
        static Static one;
        std::atexit([] { say("parent's atexit\n"); });
        on_exit([](int, void*) { say("parent's on_exit\n"); }, nullptr);
        run([] {
            std::atexit([] { say("child's atexit\n"); });
            on_exit([](int status, void*) { say(status == 7 ? "child's on_exit 7\n" : "wrong\n"); },
                    nullptr);
            static Static made_in_child;
            std::exit(7);
        });
        run([] { std::atexit([] { say("second child's atexit\n"); }); });
        say("end of main\n");
        return 0;
    }};

const support::Program exits_in_handler_program{"exit-in-atexit", [] {
                                                    run([] { std::atexit([] { _exit(9); }); });
                                                    return 0;
                                                }};

// The parent goes without joining: its child finishes its work all the same.
const support::Program orphan_program{"orphan", []() -> int {
                                          static mp::Queue<int> gate{1};
                                          static mp::Process child{[] {
                                              static_cast<void>(gate.get());
                                              say("orphan's work\n");
                                          }};
                                          child.start();
                                          gate.put(1);
                                          say("parent goes\n");
                                          _exit(5);
                                      }};

// A Process that is a static object is joined when the program ends.
const support::Program static_program{"static-process", []() -> int {
                                          static mp::Process child{[] {
                                              usleep(20'000);
                                              say("child's work\n");
                                          }};
                                          child.start();
                                          std::exit(0);
                                      }};

const support::Program stderr_program{"stderr", [] {
                                          run([] { throw std::runtime_error("complete report"); });
                                          run([] { throw 1; });
                                          return 0;
                                      }};

/// A thread that waits for a character on stdin, and holds the stream's lock all the while.
class StdinReader {
public:
    StdinReader() {
        std::array<int, 2> ends{};
        support::demand(::pipe(ends.data()) == 0 && ::dup2(ends[0], STDIN_FILENO) == 0);
        end_ = ends[1];
        thread_ = std::thread([] { static_cast<void>(std::getchar()); });
        support::wait_until([] {
            if (::ftrylockfile(stdin) != 0)
                return true;
            ::funlockfile(stdin);
            return false;
        });
    }
    void detach() { thread_.detach(); }
    void finish() {
        support::demand(::write(end_, "\n", 1) == 1);
        thread_.join();
    }

private:
    int end_ = -1;
    std::thread thread_;
};

const support::Program stdin_program{
    "stdin-is-read", [] {
        mp::set_fork_policy(mp::fork_with_threads::allow);
        std::printf("before ");
        StdinReader reader;
        run([] { std::printf("child "); });
        std::printf("between ");
        reader.finish();
        run([] {
            std::FILE* const file = ::fdopen(::dup(STDOUT_FILENO), "w");
            std::fprintf(file, "file "); // by no FILE of the parent, which flushes its own
            std::printf("child-that-reads ");
            StdinReader().detach();
        });
        std::printf("end\n");
        return 0;
    }};

/// A child whose own child throws, or ends with another code, or by _exit().
int code_of_child_that_forks(const auto& grandchild) {
    mp::Process child{[&] {
        const pid_t pid = ::fork();
        if (pid == 0)
            grandchild();
        int status = 0;
        ::waitpid(pid, &status, 0);
        ::raise(SIGKILL);
    }};
    child.start();
    child.join();
    support::demand(!child.error().has_value());
    return child.exitcode().value();
}

std::size_t count(const std::string& text, const std::string& word) {
    std::size_t found = 0;
    for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1))
        ++found;
    return found;
}

} // namespace

BOOST_AUTO_TEST_SUITE(output_and_exit)

BOOST_AUTO_TEST_CASE(what_printf_buffers_is_neither_lost_nor_doubled) {
    const auto result = support::run_program("printf");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out ==
               "before child between exits throws nested grandchild nested-end end\n");
}

BOOST_AUTO_TEST_CASE(what_cout_buffers_is_neither_lost_nor_doubled) {
    BOOST_TEST(support::run_program("cout").out == "before child end\n");
    BOOST_TEST(support::run_program("cout-unsynced").out == "before child exits end\n");
}

BOOST_AUTO_TEST_CASE(a_child_that_crashes_loses_its_own_output_alone) {
    BOOST_TEST(support::run_program("killed-child").out == "before end\n");
}

BOOST_AUTO_TEST_CASE(every_stdio_stream_is_flushed_not_only_stdout) {
    BOOST_TEST(support::run_program("file-buffers").out == "parent child end\n");
}

BOOST_AUTO_TEST_CASE(who_reads_stdin_keeps_no_process_from_starting_or_ending) {
    const auto result = support::run_program("stdin-is-read");
    BOOST_TEST(result.code == 0);
    const auto first = result.out.substr(0, result.out.find("between"));
    BOOST_TEST(first == "before child ");
    for (const char* word : {"between ", "child-that-reads ", "file ", "end\n"})
        BOOST_TEST(count(result.out, word) == 1u, word);
}

// What a bare fork() in a child makes has the child's memory, and must not speak for it. SIGCHLD is
// ignored, so that what the child said is all that its parent hears.
BOOST_AUTO_TEST_CASE(the_end_of_a_grandchild_is_not_the_childs) {
    std::signal(SIGCHLD, SIG_IGN);
    BOOST_TEST(code_of_child_that_forks([] { std::exit(0); }) == 255);
    BOOST_TEST(code_of_child_that_forks([] { throw std::runtime_error("not the child's"); }) ==
               255);
    std::signal(SIGCHLD, SIG_DFL);
}

BOOST_AUTO_TEST_CASE(exit_handlers_run_in_the_process_that_registered_them) {
    const auto result = support::run_program("handlers");
    BOOST_TEST(result.code == 0);
    for (const char* line : {"child's on_exit 7\n", "second child's atexit\n", "end of main\n",
                             "parent's atexit\n", "parent's on_exit\n"})
        BOOST_TEST(count(result.out, line) == 1U, line << " in\n" << result.out);
    BOOST_TEST(count(result.out, "wrong") == 0U);
    // "second child's atexit" contains the first's text.
    BOOST_TEST(count(result.out, "child's atexit\n") == 2U);
    // One of the parent, one that the child made itself.
    BOOST_TEST(count(result.out, "static destructor\n") == 2U);
    const auto end_of_main = result.out.find("end of main");
    BOOST_TEST(result.out.find("parent's atexit") > end_of_main);
}

BOOST_AUTO_TEST_CASE(a_handler_may_end_the_process_itself) {
    BOOST_TEST(support::run_program("exit-in-atexit").code == 0);
}

BOOST_AUTO_TEST_CASE(a_child_outlives_a_parent_that_goes_without_joining) {
    const auto result = support::run_program("orphan");
    BOOST_TEST(result.code == 5);
    BOOST_TEST(count(result.out, "orphan's work\n") == 1U);
}

BOOST_AUTO_TEST_CASE(a_static_process_is_joined_at_exit) {
    BOOST_TEST(support::run_program("static-process").out == "child's work\n");
}

BOOST_AUTO_TEST_CASE(an_exception_is_printed_with_the_process_name) {
    const auto result = support::run_program("stderr");
    BOOST_TEST(result.code == 0);
    for (const char* word : {"child", "std::runtime_error", "complete report"})
        BOOST_TEST(count(result.err, word) >= 1U, word << " in " << result.err);
    BOOST_TEST(count(result.err, "\n") == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
