#include <multifork/pool/batch_size.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace mp = multifork;
using mp::detail::BatchSize;

BOOST_AUTO_TEST_SUITE(batch_size)

BOOST_AUTO_TEST_CASE(grows_while_batches_are_short) {
    BatchSize size(std::nullopt);
    std::size_t before = size.now();
    BOOST_TEST(before == 1u);
    for (int i = 0; i < 30; ++i) {
        size.ran(size.now(), static_cast<std::int64_t>(size.now()) * 1000); // 1 us a job
        BOOST_TEST(size.now() <= 2 * before);
        before = size.now();
    }
    BOOST_TEST(size.now() >= 2000u);
    BOOST_TEST(size.now() <= 4000u);
}

BOOST_AUTO_TEST_CASE(shrinks_when_they_take_too_long) {
    BatchSize size(std::nullopt);
    for (int i = 0; i < 30; ++i)
        size.ran(size.now(), static_cast<std::int64_t>(size.now()) * 1000);
    for (int i = 0; i < 5; ++i)
        size.ran(size.now(), static_cast<std::int64_t>(size.now()) * 1'000'000); // 1 ms a job
    BOOST_TEST(size.now() >= 2u);
    BOOST_TEST(size.now() <= 20u);
}

BOOST_AUTO_TEST_CASE(stays_between_and_when_it_is_told) {
    BatchSize size(std::nullopt);
    size.ran(1, 5'000'000);
    size.ran(1, 19'000'000);
    size.ran(1, 900'000'000'000); // one alone cannot be less
    BOOST_TEST(size.now() == 1u);
    size.ran(64, 10); // of another time
    BOOST_TEST(size.now() == 1u);
    BatchSize fixed(5);
    fixed.ran(5, 1);
    BOOST_TEST(fixed.now() == 5u);
}

BOOST_AUTO_TEST_SUITE_END()
