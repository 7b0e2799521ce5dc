#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

namespace mp = multifork;
namespace support = multifork::test;

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

BOOST_AUTO_TEST_SUITE_END()
