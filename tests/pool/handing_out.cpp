#include <multifork/pool/executor.hpp>
#include <multifork/pool/parallel.hpp>
#include <multifork/pool/pool.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Jobs of which one cannot be handed out to a worker: it fails in its turn, and the others are
// done.

namespace mp = multifork;

namespace {

/// The fifth cannot be written down.
struct Stubborn {
    int n = 0;
    std::string not_plain = {};
    template <class Archive>
    void save(Archive& archive) const {
        if (n == 5)
            throw std::range_error("this cannot be written down");
        archive(n);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(n);
    }
};
int number_of(const Stubborn& stubborn) {
    return stubborn.n;
}

auto stubborn(int count) {
    return std::views::iota(0, count) | std::views::transform([](int n) { return Stubborn{n}; });
}
/// What there is, in order, with -1 for each that failed.
template <class Results>
std::vector<int> all_of(Results results) {
    std::vector<int> all;
    for (;;) {
        try {
            const std::optional<int> one = results.next();
            if (!one)
                return all;
            all.push_back(*one);
        } catch (const std::range_error&) {
            all.push_back(-1);
        }
    }
}
const std::vector<int> expected{0, 1, 2, 3, 4, -1, 6, 7, 8, 9};

void check_unordered(std::vector<int> all) {
    std::sort(all.begin(), all.end());
    BOOST_TEST((all == std::vector<int>{-1, 0, 1, 2, 3, 4, 6, 7, 8, 9}));
}

} // namespace

BOOST_AUTO_TEST_SUITE(handing_out)

BOOST_AUTO_TEST_CASE(a_parallel_goes_on_behind_a_job_that_cannot_be_handed_out) {
    const auto jobs = stubborn(10) | std::views::transform([](Stubborn s) {
                          return mp::delayed(number_of)(std::move(s));
                      });
    for (const std::optional<std::int64_t> ahead :
         {std::optional<std::int64_t>(), std::optional<std::int64_t>(1)}) {
        const mp::Parallel parallel{.n_jobs = 2, .batch_size = 1, .pre_dispatch = ahead};
        BOOST_TEST(all_of(parallel.generator(jobs)) == expected, boost::test_tools::per_element());
        check_unordered(all_of(parallel.generator_unordered(jobs)));
        BOOST_CHECK_THROW(parallel(jobs), std::range_error);
    }
}

BOOST_AUTO_TEST_CASE(imap_goes_on_behind_a_chunk_that_cannot_be_handed_out) {
    mp::Pool pool{2};
    for (const int ahead : {1, 4}) {
        BOOST_TEST(all_of(pool.imap(number_of, stubborn(10), {.look_ahead = ahead})) == expected,
                   boost::test_tools::per_element());
        check_unordered(
            all_of(pool.imap_unordered(number_of, stubborn(10), {.look_ahead = ahead})));
    }
}

BOOST_AUTO_TEST_CASE(an_executors_map_is_at_its_end_when_a_task_threw) {
    mp::ThreadPoolExecutor executor{1};
    const auto input = std::views::iota(0, 5) | std::views::transform([](int n) {
                           return n < 2 ? n : throw std::domain_error("the input throws");
                       });
    const auto fails = [](int n) { return n == 0 ? n : throw std::range_error("the task throws"); };
    auto results = executor.map(fails, input, {.buffer_size = 2});
    BOOST_TEST((results.next() == 0)); // and now the input has thrown
    BOOST_CHECK_THROW(static_cast<void>(results.next()), std::range_error);
    BOOST_TEST(!results.next().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
