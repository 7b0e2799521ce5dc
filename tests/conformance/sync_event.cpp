#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <thread>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// How CPython's Event behaves.
BOOST_AUTO_TEST_SUITE(events)

MULTIFORK_EACH_START_METHOD(S_014_event) {
    mp::Event event;
    BOOST_TEST(!event.is_set());
    BOOST_TEST(!event.wait_for(0s));
    BOOST_TEST(!event.wait_for(100ms));
    event.set();
    BOOST_TEST(event.is_set());
    event.wait();
    BOOST_TEST(event.wait_for(100ms));
    event.clear();
    BOOST_TEST(!event.is_set());
    mp::Process child = context.process(
        [](mp::Event shared) {
            std::this_thread::sleep_for(100ms);
            shared.set();
        },
        event);
    child.start();
    event.wait();
    BOOST_TEST(event.is_set());
    support::expect_exit(child);
}

// Adapted: to_string() and fmt in place of repr().
BOOST_AUTO_TEST_CASE(S_015_event_repr) {
    mp::Event event;
    BOOST_TEST(event.to_string().find("unset") != std::string::npos);
    event.set();
    BOOST_TEST(fmt::format("{}", event).find(" set") != std::string::npos);
    event.clear();
    BOOST_TEST(event.to_string().find("unset") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
