#include <multifork/error.hpp>
#include <multifork/process/process.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

int code_of(std::function<void()> target) {
    mp::Process child{std::move(target)};
    child.start();
    child.join();
    return child.exitcode().value();
}

std::optional<mp::RemoteError> error_of(std::function<void()> target) {
    mp::Process child{{.name = "thrower"}, std::move(target)};
    child.start();
    child.join();
    BOOST_TEST(child.exitcode().value() == 1);
    const auto error = child.error();
    if (error) {
        BOOST_TEST(error->process_name() == "thrower");
        BOOST_TEST(error->pid() == child.pid().value());
    }
    return error;
}

} // namespace

BOOST_AUTO_TEST_SUITE(exit_codes)

BOOST_AUTO_TEST_CASE(returned_exited_threw_killed) {
    BOOST_TEST(code_of([] {}) == 0);
    BOOST_TEST(code_of([] { std::exit(0); }) == 0);
    BOOST_TEST(code_of([] { std::exit(3); }) == 3);
    BOOST_TEST(code_of([] { std::exit(255); }) == 255);
    BOOST_TEST(code_of([] { std::exit(256 + 7); }) == 7); // as the kernel has it
    BOOST_TEST(code_of([] { std::exit(-1); }) == 255);
    BOOST_TEST(code_of([] { _exit(9); }) == 9);
    BOOST_TEST(code_of([] { std::quick_exit(4); }) == 4);
    BOOST_TEST(code_of([] { raise(SIGKILL); }) == -SIGKILL);
    BOOST_TEST(code_of([] { raise(SIGTERM); }) == -SIGTERM);
}

BOOST_AUTO_TEST_CASE(abort_is_signal_6) {
    BOOST_TEST(code_of([] {
                   signal(SIGABRT, SIG_DFL);
                   std::abort();
               }) == -SIGABRT);
}

BOOST_AUTO_TEST_CASE(an_exception_is_kept_with_its_type_and_text) {
    const auto error = error_of([] { throw std::runtime_error("no luck today"); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->type_name() == "std::runtime_error");
    BOOST_TEST(error->text() == "no luck today");
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_library) {
    const auto error = error_of([] { throw mp::OwnerDied("gone"); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->type_name() == "multifork::OwnerDied");
    BOOST_TEST(error->text() == "gone");
}

BOOST_AUTO_TEST_CASE(an_exception_keeps_its_type_where_stderr_cannot_be_written) {
    const auto error = error_of([] {
        const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
        support::demand(::dup2(full, STDERR_FILENO) >= 0);
        throw std::runtime_error("unheard");
    });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->type_name() == "std::runtime_error");
    BOOST_TEST(error->text() == "unheard");
}

BOOST_AUTO_TEST_CASE(what_is_no_std_exception) {
    const auto number = error_of([] { throw 42; });
    BOOST_REQUIRE(number.has_value());
    BOOST_TEST(number->text().empty());
    const auto text = error_of([] { throw std::string("just text"); });
    BOOST_REQUIRE(text.has_value());
}

BOOST_AUTO_TEST_CASE(empty_and_overlong_texts) {
    const auto empty = error_of([] { throw std::runtime_error(""); });
    BOOST_REQUIRE(empty.has_value());
    BOOST_TEST(empty->text().empty());
    BOOST_TEST(empty->type_name() == "std::runtime_error");
    const auto overlong = error_of([] { throw std::runtime_error(std::string(100'000, 'x')); });
    BOOST_REQUIRE(overlong.has_value());
    BOOST_TEST(overlong->text().size() > 100U);
    BOOST_TEST(overlong->text().find_first_not_of('x') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(without_an_exception_there_is_no_error) {
    mp::Process fine{[] {}};
    fine.start();
    fine.join();
    BOOST_TEST(!fine.error().has_value());
    mp::Process killed{[] { raise(SIGKILL); }};
    killed.start();
    killed.join();
    BOOST_TEST(!killed.error().has_value());
    mp::Process exited{[] { std::exit(1); }};
    exited.start();
    exited.join();
    BOOST_TEST(!exited.error().has_value());
}

BOOST_AUTO_TEST_CASE(an_exception_caught_by_the_target_is_its_own_business) {
    BOOST_TEST(code_of([] {
                   try {
                       throw std::runtime_error("x");
                   } catch (const std::exception&) {
                       std::exit(12);
                   }
               }) == 12);
}

BOOST_AUTO_TEST_CASE(the_destructor_of_the_targets_objects_run_in_the_child) {
    struct Noisy {
        explicit Noisy(int c) : code(c) {}
        Noisy(Noisy&& other) noexcept : code(std::exchange(other.code, 0)) {}
        ~Noisy() {
            if (code != 0 && getpid() != parent)
                _exit(code);
        }
        int code;
        pid_t parent = getpid();
    };
    mp::Process child{[noisy = Noisy(21)] {}};
    child.start();
    support::expect_exit(child, 21);
}

BOOST_AUTO_TEST_CASE(when_sigchld_is_ignored_the_child_says_how_it_ended) {
    mp::Process runner{[] {
        signal(SIGCHLD, SIG_IGN);
        support::demand(code_of([] {}) == 0);
        support::demand(code_of([] { std::exit(5); }) == 5);
        support::demand(code_of([] { throw std::runtime_error("x"); }) == 1);
        support::demand(code_of([] { _exit(3); }) == 255); // nobody said anything
        mp::Process child{[] { std::exit(8); }};
        child.start();
        while (child.is_alive())
            std::this_thread::yield();
        support::demand(child.exitcode() == 8);
    }};
    runner.start();
    support::expect_exit(runner);
}

BOOST_AUTO_TEST_CASE(somebody_elses_waitpid_takes_the_status_but_not_the_exit_code) {
    support::run_in_child([] {
        mp::Process child{[] { std::exit(6); }};
        child.start();
        int status = 0;
        support::demand(waitpid(-1, &status, 0) == child.pid());
        support::demand(!child.is_alive());
        child.join();
        support::demand(child.exitcode() == 6);
        child.kill(); // to nobody: its pid may be anybody's by now
    });
}

BOOST_AUTO_TEST_CASE(exit_by_another_thread_of_the_child) {
    BOOST_TEST(code_of([] {
                   std::thread([] { std::exit(11); }).detach();
                   for (;;)
                       pause();
               }) == 11);
}

BOOST_AUTO_TEST_SUITE_END()
