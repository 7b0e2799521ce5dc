#include <multifork/multifork.hpp>

#include "start_methods.hpp"
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

using Texts = mp::Queue<std::string>;

void answer_in_capitals(Texts questions, Texts answers) {
    for (std::string text : questions) {
        for (char& c : text)
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        answers.put(text);
    }
}

/// Answers in capital letters until it is told to stop.
class UpperCaser : public mp::Process {
public:
    UpperCaser() : mp::Process(mp::ProcessOptions{}) {}
    std::string submit(const std::string& text) {
        questions_.put(text);
        return answers_.get();
    }
    void stop() { questions_.close(); }

protected:
    void run() override { answer_in_capitals(questions_, answers_); }

private:
    Texts questions_{1};
    Texts answers_{1};
};

/// The same for every start method: it has the process, and is none.
class UpperCaserBy {
public:
    explicit UpperCaserBy(const mp::Context& context)
        : process(context.process(answer_in_capitals, questions_, answers_)) {}
    std::string submit(const std::string& text) {
        questions_.put(text);
        return answers_.get();
    }
    void stop() { questions_.close(); }

private:
    Texts questions_{1};
    Texts answers_{1};

public:
    mp::Process process;
};

/// For a program inside the test program, which is told by a variable.
mp::Context context_of_program() {
    return mp::get_context(std::getenv("METHOD"));
}
support::ProgramResult run_program(const char* name, const mp::Context& context) {
    return support::run_program(name, {{"METHOD", context.get_start_method()}});
}

const support::Program ends_by_exception{"ends by an exception", [] {
                                             mp::Process child = context_of_program().process(
                                                 {.name = "Doomed"},
                                                 [] { throw std::out_of_range("beyond the end"); });
                                             child.start();
                                             child.join();
                                             return child.exitcode().value();
                                         }};

const support::Program exit_handlers{"exit handlers", [] {
                                         std::atexit([] { std::printf("main\n"); });
                                         mp::Process child = context_of_program().process([] {
                                             std::atexit([] { std::printf("deadbeef\n"); });
                                         });
                                         child.start();
                                         child.join();
                                         return child.exitcode().value();
                                     }};

} // namespace

BOOST_AUTO_TEST_SUITE(process_output)

MULTIFORK_EACH_START_METHOD(P_018_a_child_of_a_parent_with_unusable_output) {
    for (const Breakage& breakage : breakages) {
        const mp::Event ran;
        support::RawChild parent([&] {
            breakage.apply();
            say_something();
            mp::Process child = context.process([](mp::Event tell) { tell.set(); }, ran);
            child.start();
            child.join();
            const int code = child.exitcode().value();
            ::_exit(code); // without the flush that would fail here too
            return code;
        });
        BOOST_TEST(parent.wait() == 0);
        BOOST_TEST(ran.is_set());
    }
}

MULTIFORK_EACH_START_METHOD(P_019_a_child_that_makes_its_own_output_unusable) {
    for (std::size_t i = 0; i < breakages.size(); ++i)
        support::run_in_child(
            context,
            [](std::size_t which) {
                say_something();
                breakages.at(which).apply();
            },
            i);
}

// By fork alone: an object with a run() of its own has no words in which it could cross. See
// start_methods_refused in tests/process for what start() says about it.
BOOST_AUTO_TEST_CASE(P_020_a_derived_class_with_a_run_of_its_own) {
    UpperCaser server;
    server.start();
    BOOST_TEST(server.submit("hello") == "HELLO");
    BOOST_TEST(server.submit("world") == "WORLD");
    server.stop();
    server.join();
    BOOST_TEST(server.exitcode().value() == 0);
}

// Where Python's class is a Process, this one has one.
MULTIFORK_EACH_START_METHOD(P_020_a_class_that_has_a_process) {
    UpperCaserBy server(context);
    server.process.start();
    BOOST_TEST(server.submit("hello") == "HELLO");
    BOOST_TEST(server.submit("world") == "WORLD");
    server.stop();
    support::expect_exit(server.process);
}

// C++ does not keep the place of a throw: the report has the name, the type and the text.
MULTIFORK_EACH_START_METHOD(P_021_the_report_of_an_exception_is_complete) {
    const auto result = run_program("ends by an exception", context);
    BOOST_TEST(result.code == 1);
    for (const char* part : {"Doomed", "std::out_of_range", "beyond the end\n"})
        BOOST_TEST(result.err.find(part) != std::string::npos,
                   "'" << result.err << "' lacks " << part);
}

MULTIFORK_EACH_START_METHOD(P_024_exit_handlers_of_the_child_run_and_those_of_its_parent_do_not) {
    const auto result = run_program("exit handlers", context);
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "deadbeef\nmain\n");
    BOOST_TEST(result.err == "");
}

MULTIFORK_EACH_START_METHOD(P_025_a_queue_and_a_grandchild_made_in_a_child_without_stdin) {
    support::run_in_child(
        context,
        [](mp::StartMethod method) {
            ::close(STDIN_FILENO);
            const mp::Queue<int> queue{1};
            mp::Process grandchild{
                {.daemon = true, .start_method = method},
                [](mp::Queue<int> empty) { support::demand(!empty.try_get().has_value()); },
                queue};
            grandchild.start();
            grandchild.join();
            support::demand(grandchild.exitcode() == 0);
        },
        context.start_method());
}

BOOST_AUTO_TEST_SUITE_END()
