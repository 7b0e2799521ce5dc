#include <multifork/platform/clock.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <limits>

using multifork::platform::Deadline;
using multifork::platform::monotonic_ns;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(deadline)

BOOST_AUTO_TEST_CASE(zero_and_negative_durations_poll) {
    BOOST_TEST(Deadline::after(0s).is_poll());
    BOOST_TEST(Deadline::after(-1ns).is_poll());
    BOOST_TEST(Deadline::after(std::chrono::hours::min()).is_poll());
    BOOST_TEST(Deadline::after(std::chrono::nanoseconds::min()).is_poll());
    BOOST_TEST(Deadline::after(std::chrono::duration<double>(-0.0)).is_poll());
    using Real = std::chrono::duration<double>;
    BOOST_TEST(Deadline::after(Real(-std::numeric_limits<double>::infinity())).is_poll());
}

BOOST_AUTO_TEST_CASE(not_a_number_polls) {
    using Real = std::chrono::duration<double>;
    BOOST_TEST(Deadline::after(Real(std::numeric_limits<double>::quiet_NaN())).is_poll());
}

BOOST_AUTO_TEST_CASE(durations_beyond_the_clock_never_end) {
    using Real = std::chrono::duration<double>;
    BOOST_TEST(Deadline::after(std::chrono::hours::max()).is_never());
    BOOST_TEST(Deadline::after(std::chrono::nanoseconds::max()).is_never());
    BOOST_TEST(Deadline::after(std::chrono::seconds::max()).is_never());
    BOOST_TEST(Deadline::after(Real(std::numeric_limits<double>::infinity())).is_never());
    BOOST_TEST(Deadline::after(Real(std::numeric_limits<double>::max())).is_never());
    BOOST_TEST(!Deadline::never().passed());
}

BOOST_AUTO_TEST_CASE(a_wait_is_rounded_up_and_never_ends_early) {
    const std::int64_t before = monotonic_ns();
    const auto after_fraction =
        Deadline::after(std::chrono::duration<double, std::micro>(1.0000001));
    BOOST_TEST(after_fraction.ns() >= before + 1001);
    using Picoseconds = std::chrono::duration<std::int64_t, std::pico>;
    const auto after_picosecond = Deadline::after(Picoseconds(1));
    BOOST_TEST(!after_picosecond.is_poll());
}

BOOST_AUTO_TEST_CASE(a_deadline_passes) {
    const auto soon = Deadline::after(1ms);
    while (monotonic_ns() < soon.ns()) {
    }
    BOOST_TEST(soon.passed());
    BOOST_TEST(!Deadline::after(1h).passed());
    BOOST_TEST(Deadline::poll().passed());
}

BOOST_AUTO_TEST_CASE(time_points_of_any_clock) {
    BOOST_TEST(Deadline::at(std::chrono::system_clock::now() - 1s).is_poll());
    BOOST_TEST(!Deadline::at(std::chrono::steady_clock::now() + 1h).passed());
    const auto hour = Deadline::at(std::chrono::system_clock::now() + 1h);
    BOOST_TEST(hour.ns() > monotonic_ns() + std::chrono::nanoseconds(59min).count());
}

BOOST_AUTO_TEST_CASE(the_last_time_point_of_a_clock_never_comes) {
    BOOST_TEST(!Deadline::at(std::chrono::steady_clock::time_point::max()).passed());
    BOOST_TEST(Deadline::at(std::chrono::steady_clock::time_point::min()).passed());
    BOOST_TEST(!Deadline::at(std::chrono::system_clock::time_point::max()).passed());
    BOOST_TEST(Deadline::at(std::chrono::system_clock::time_point::min()).passed());
    using Hours = std::chrono::time_point<std::chrono::steady_clock, std::chrono::hours>;
    BOOST_TEST(Deadline::at(Hours::max()).is_never());
    BOOST_TEST(Deadline::at(Hours::min()).is_poll());
}

BOOST_AUTO_TEST_SUITE_END()
