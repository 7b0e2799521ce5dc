#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

const support::Program below_the_level{"misc-below-the-level", [] {
                                           mp::Logger& log = mp::log_to_stderr();
                                           log.set_level(mp::LogLevel::subwarning);
                                           mp::debug("debug");
                                           mp::info("info");
                                           log.info("info of the logger");
                                           mp::sub_warning("the only line");
                                           return &log == &mp::get_logger() ? 0 : 1;
                                       }};

const support::Program file_of_the_caller{"misc-file-of-the-caller", [] {
                                              mp::Logger& log =
                                                  mp::log_to_stderr(mp::LogLevel::debug);
                                              log.info("1");
                                              mp::info("2");
                                              mp::debug("3");
                                              return 0;
                                          }};

} // namespace

BOOST_AUTO_TEST_SUITE(misc)

// Python's logger has handlers, which its user makes; ours writes to stderr, or nowhere.
BOOST_AUTO_TEST_CASE(X_004_one_logger_with_a_level) {
    const auto result = support::run_program("misc-below-the-level");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err.starts_with("[SUBWARNING/MainProcess] "));
    BOOST_TEST(result.err.ends_with(" the only line\n"));
    BOOST_TEST(result.err.find('\n') == result.err.size() - 1);
}

BOOST_AUTO_TEST_CASE(X_006_lines_name_the_file_of_the_caller) {
    const std::string text = support::run_program("misc-file-of-the-caller").err;
    std::size_t at = 0;
    for (const char* const part : {"[INFO/", " misc.cpp:", "] 1\n", "[INFO/", " misc.cpp:", "] 2\n",
                                   "[DEBUG/", " misc.cpp:", "] 3\n"}) {
        at = text.find(part, at);
        BOOST_REQUIRE_MESSAGE(at != std::string::npos, part << " is not in " << text);
    }
    BOOST_TEST(text.find("logging.") == std::string::npos); // the library's own file
}

// No garbage collector: threads register and drop handlers, others run them. Each handler runs once
// or was dropped, not both, and none is lost.
BOOST_AUTO_TEST_CASE(X_008_exit_handlers_from_several_threads) {
    std::atomic<bool> stop{false};
    std::atomic<long> ran{0};
    std::atomic<long> registered{0};
    std::atomic<long> dropped{0};
    const auto register_and_drop = [&](int seed) {
        std::vector<mp::Finalizer> mine(10);
        for (unsigned i = 0; !stop; ++i) {
            mp::Finalizer& place = mine.at(i * 7 % 10);
            dropped += place.cancel() ? 1 : 0;
            place = mp::at_exit([&ran] { ++ran; }, (seed + static_cast<int>(i)) % 3);
            ++registered;
            if (i % 5 == 0)
                static_cast<void>(place.run());
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back(register_and_drop, i);
        threads.emplace_back([&] {
            while (!stop)
                mp::detail::run_exit_handlers();
        });
    }
    const auto end = std::chrono::steady_clock::now() + 4s;
    while (std::chrono::steady_clock::now() < end) { // children meanwhile, which have their own
        mp::Process child{[] { mp::at_exit([] { ::_exit(7); }); }};
        child.start();
        support::expect_exit(child, 7);
    }
    stop = true;
    for (std::thread& thread : threads)
        thread.join();
    mp::detail::run_exit_handlers();
    BOOST_TEST(registered > 0);
    BOOST_TEST(ran + dropped == registered);
}

BOOST_AUTO_TEST_SUITE_END()
