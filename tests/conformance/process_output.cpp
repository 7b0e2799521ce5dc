#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

/// Four ways in which output can be unusable: a closed descriptor, and one that refuses every byte.
struct Breakage {
    int descriptor;
    bool closed;

    void apply() const {
        if (closed) {
            ::close(descriptor);
            return;
        }
        const int full = ::open("/dev/full", O_WRONLY);
        ::dup2(full, descriptor);
        ::close(full);
    }
};
constexpr std::array breakages{Breakage{STDOUT_FILENO, true}, Breakage{STDERR_FILENO, true},
                               Breakage{STDOUT_FILENO, false}, Breakage{STDERR_FILENO, false}};

void say_something() {
    std::cout << "to cout";
    std::clog << "to clog";
    std::printf("to stdout");
    static_cast<void>(std::fprintf(stderr, "to stderr"));
}

/// A server: answers in capital letters until it is told to stop.
class UpperCaser : public mp::Process {
public:
    UpperCaser() : mp::Process(mp::ProcessOptions{}) {}
    std::string submit(const std::string& text) {
        questions_.put(text);
        return answers_.get();
    }
    void stop() { questions_.close(); }

protected:
    void run() override {
        for (std::string text : questions_) {
            for (char& c : text)
                c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            answers_.put(text);
        }
    }

private:
    mp::Queue<std::string> questions_{1};
    mp::Queue<std::string> answers_{1};
};

const support::Program ends_by_exception{
    "ends by an exception", [] {
        mp::Process child{{.name = "Doomed"}, [] { throw std::out_of_range("beyond the end"); }};
        child.start();
        child.join();
        return child.exitcode().value();
    }};

const support::Program exit_handlers{
    "exit handlers", [] {
        std::atexit([] { std::printf("main\n"); });
        mp::Process child{[] { std::atexit([] { std::printf("deadbeef\n"); }); }};
        child.start();
        child.join();
        return child.exitcode().value();
    }};

} // namespace

BOOST_AUTO_TEST_SUITE(process_output)

BOOST_AUTO_TEST_CASE(P_018_a_child_of_a_parent_with_unusable_output) {
    for (const Breakage& breakage : breakages) {
        mp::Value<bool> ran{false};
        support::RawChild parent([&] {
            breakage.apply();
            say_something();
            mp::Process child{[&] { ran.store(true); }};
            child.start();
            child.join();
            const int code = child.exitcode().value();
            ::_exit(code); // without the flush that would fail here too
            return code;
        });
        BOOST_TEST(parent.wait() == 0);
        BOOST_TEST(ran.load());
    }
}

BOOST_AUTO_TEST_CASE(P_019_a_child_that_makes_its_own_output_unusable) {
    for (const Breakage& breakage : breakages)
        support::run_in_child([&] {
            say_something();
            breakage.apply();
        });
}

BOOST_AUTO_TEST_CASE(P_020_a_derived_class_with_a_run_of_its_own) {
    UpperCaser server;
    server.start();
    BOOST_TEST(server.submit("hello") == "HELLO");
    BOOST_TEST(server.submit("world") == "WORLD");
    server.stop();
    server.join();
    BOOST_TEST(server.exitcode().value() == 0);
}

// C++ does not keep the place of a throw: the report has the name, the type and the text.
BOOST_AUTO_TEST_CASE(P_021_the_report_of_an_exception_is_complete) {
    const auto result = support::run_program("ends by an exception");
    BOOST_TEST(result.code == 1);
    for (const char* part : {"Doomed", "std::out_of_range", "beyond the end\n"})
        BOOST_TEST(result.err.find(part) != std::string::npos,
                   "'" << result.err << "' lacks " << part);
}

BOOST_AUTO_TEST_CASE(P_024_exit_handlers_of_the_child_run_and_those_of_its_parent_do_not) {
    const auto result = support::run_program("exit handlers");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "deadbeef\nmain\n");
}

BOOST_AUTO_TEST_CASE(P_025_a_queue_and_a_grandchild_made_in_a_child_without_stdin) {
    support::run_in_child([] {
        ::close(STDIN_FILENO);
        mp::Queue<int> queue{1};
        mp::Process grandchild{{.daemon = true},
                               [&] { support::demand(!queue.try_get().has_value()); }};
        grandchild.start();
        grandchild.join();
        support::demand(grandchild.exitcode() == 0);
    });
}

BOOST_AUTO_TEST_SUITE_END()
