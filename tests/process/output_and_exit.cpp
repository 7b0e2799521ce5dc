#include <multifork/channel/queue.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/start_method.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <sys/ioctl.h>
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

const support::Program wide_program{"wcout-unsynced", [] {
                                        std::ios::sync_with_stdio(false);
                                        std::wcout << L"before ";
                                        run([] { std::wcout << L"child " << std::flush; });
                                        run([] {
                                            std::wcout << L"exits ";
                                            std::exit(0);
                                        });
                                        std::wcout << L"end\n";
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

struct Pipe {
    Pipe() { support::demand(::pipe(ends.data()) == 0); }
    [[nodiscard]] std::FILE* writer() const { return ::fdopen(ends[1], "w"); }
    /// \return what there was, or nothing at the end
    [[nodiscard]] std::string read() const {
        std::array<char, 4096> text;
        const auto n = ::read(ends[0], text.data(), text.size());
        return {text.data(), n > 0 ? static_cast<std::size_t>(n) : 0U};
    }
    [[nodiscard]] std::string read_all() const {
        std::string all;
        for (std::string part = read(); !part.empty(); part = read())
            all += part;
        return all;
    }
    std::array<int, 2> ends{};
};

void wait_until_held(std::FILE* stream) {
    support::wait_until([&] {
        if (::ftrylockfile(stream) != 0)
            return true;
        ::funlockfile(stream);
        return false;
    });
}

/// A thread that waits for a line, and holds the stream's lock all the while.
class Reader {
public:
    static Reader of_stdin() {
        const Pipe pipe;
        support::demand(::dup2(pipe.ends[0], STDIN_FILENO) == 0);
        return Reader{stdin, pipe.ends[1]};
    }
    static Reader of_a_pipe() {
        const Pipe pipe;
        return Reader{::fdopen(pipe.ends[0], "r"), pipe.ends[1]};
    }
    void detach() { thread_.detach(); }
    void finish() {
        support::demand(::write(end_, "\n", 1) == 1);
        thread_.join();
    }

private:
    Reader(std::FILE* stream, int end) : end_(end) {
        thread_ = std::thread([stream] {
            std::array<char, 10> line;
            static_cast<void>(std::fgets(line.data(), line.size(), stream));
        });
        wait_until_held(stream);
    }
    int end_;
    std::thread thread_;
};

/// With a thread of the parent that reads, and then with one of the child.
int start_beside(Reader (*reader)()) {
    mp::set_fork_policy(mp::fork_with_threads::allow);
    std::FILE* const log = ::fdopen(::dup(STDOUT_FILENO), "w");
    std::fprintf(log, "log ");
    std::printf("before ");
    Reader parents = reader();
    run([] { std::printf("child "); });
    std::printf("between ");
    parents.finish();
    run([reader] {
        std::FILE* const file = ::fdopen(::dup(STDOUT_FILENO), "w");
        std::fprintf(file, "file "); // by no FILE of the parent, which flushes its own
        std::printf("child-that-reads ");
        reader().detach();
    });
    std::printf("end\n");
    return 0;
}

const support::Program stdin_program{"stdin-is-read",
                                     [] { return start_beside(Reader::of_stdin); }};
const support::Program pipe_program{"pipe-is-read", [] { return start_beside(Reader::of_a_pipe); }};

// Nobody empties the pipe before the child has ended.
const support::Program full_pipe_program{
    "writer-at-a-full-pipe", [] {
        mp::set_fork_policy(mp::fork_with_threads::allow);
        const Pipe pipe;
        static_cast<void>(::fcntl(pipe.ends[1], F_SETPIPE_SZ, 4096));
        std::FILE* const file = pipe.writer();
        constexpr int words = 20'000;
        std::thread writer([&] {
            for (int i = 0; i < words; ++i) // in small pieces: they come by way of the buffer
                std::fputs("word ", file);
            std::fclose(file);
        });
        support::wait_until([&] {
            int bytes = 0;
            support::demand(::ioctl(pipe.ends[0], FIONREAD, &bytes) == 0);
            return bytes >= 4096 && ::__fpending(file) >= 4000;
        });
        run([&] { ::close(pipe.ends[0]); });
        std::string all;
        std::thread reader([&] { all = pipe.read_all(); });
        writer.join();
        reader.join();
        std::printf("%d\n", all.size() == words * std::string("word ").size());
        return 0;
    }};

// Whoever flushes all streams has the lock of their list while he waits for the pipe, and comes to
// stdin last. He gets on only as the reader does, who must not need what fork() has taken when it
// waits for that lock: with ThreadSanitizer that is what its usleep() takes, and not its ppoll().
void pause_of_us(long microseconds) {
    const timespec pause{0, microseconds * 1'000};
    ::ppoll(nullptr, 0, &pause, nullptr);
}
const support::Program flushing_program{
    "all-streams-are-flushed", [] {
        mp::set_fork_policy(mp::fork_with_threads::allow);
        const Pipe pipe;
        static_cast<void>(::fcntl(pipe.ends[1], F_SETPIPE_SZ, 4096));
        std::FILE* const file = pipe.writer();
        const std::string text(4'000, 'x'); // less than the buffer, so that only the flush waits
        std::atomic<bool> goes_on{true};
        std::thread flusher([&] {
            while (goes_on) {
                std::fputs(text.c_str(), file);
                std::fflush(nullptr);
                pause_of_us(500); // the lock goes to who asks first
            }
            std::fclose(file);
        });
        std::thread slow_reader([&] {
            while (!pipe.read().empty())
                pause_of_us(200);
        });
        for (int i = 0; i < 200; ++i)
            run([] {});
        goes_on = false;
        flusher.join();
        slow_reader.join();
        std::printf("end\n");
        return 0;
    }};

const support::Program held_program{
    "stream-of-another-thread", [] {
        mp::set_fork_policy(mp::fork_with_threads::allow);
        run([] {
            std::FILE* const file = ::fdopen(::dup(STDOUT_FILENO), "w");
            static std::atomic<bool> seen{false};
            std::thread([file] {
                ::flockfile(file);
                std::fputs("kept ", file);
                while (!seen)
                    ::usleep(200);
                ::usleep(50'000);
                std::fputs("both ", file);
                ::funlockfile(file);
                support::sleep_for_ever();
            }).detach();
            wait_until_held(file);
            support::wait_until([file] { return ::__fpending(file) != 0; });
            seen = true;
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

/// Can write nothing out, as onto a full disk.
class Refusing : public std::streambuf {
    int sync() override { return -1; }
};

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
    for (const char* name : {"cout-unsynced", "wcout-unsynced"})
        BOOST_TEST(support::run_program(name).out == "before child exits end\n");
}

BOOST_AUTO_TEST_CASE(a_child_that_crashes_loses_its_own_output_alone) {
    BOOST_TEST(support::run_program("killed-child").out == "before end\n");
}

BOOST_AUTO_TEST_CASE(every_stdio_stream_is_flushed_not_only_stdout) {
    BOOST_TEST(support::run_program("file-buffers").out == "parent child end\n");
}

BOOST_AUTO_TEST_CASE(who_reads_a_stream_keeps_no_process_from_starting_or_ending) {
    for (const char* name : {"stdin-is-read", "pipe-is-read"}) {
        const auto result = support::run_program(name);
        BOOST_TEST(result.code == 0);
        BOOST_TEST(result.out.find("before ") < result.out.find("child "));
        BOOST_TEST(result.out.find("child ") < result.out.find("between "));
        for (const char* word :
             {"log ", "before ", "child ", "between ", "child-that-reads ", "file ", "end\n"})
            BOOST_TEST(count(result.out, word) == 1u, word << " in " << result.out);
    }
}

BOOST_AUTO_TEST_CASE(a_full_pipe_of_another_thread_keeps_no_process_from_starting_or_ending) {
    BOOST_TEST(support::run_program("writer-at-a-full-pipe").out == "1\n");
}

BOOST_AUTO_TEST_CASE(a_process_starts_while_another_thread_flushes_all_streams) {
    BOOST_TEST(support::run_program("all-streams-are-flushed").out == "end\n");
}

BOOST_AUTO_TEST_CASE(a_child_ends_after_the_thread_that_is_writing) {
    BOOST_TEST(support::run_program("stream-of-another-thread").out == "kept both end\n");
}

BOOST_AUTO_TEST_CASE(a_stream_that_throws_at_the_end_leaves_the_exit_code) {
    mp::Process child{[] {
        static Refusing& refusing = *new Refusing; // there to the very end
        std::cout.rdbuf(&refusing);
        std::cout.exceptions(std::ios::badbit);
    }};
    child.start();
    child.join();
    BOOST_TEST(child.exitcode().value() == 0);
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
