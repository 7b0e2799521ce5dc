#include <multifork/arena/space.hpp>
#include <multifork/channel/array.hpp>
#include <multifork/pool/executor.hpp>
#include <multifork/pool/parallel_team.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/process/cpu_count.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// What a pool's tasks share with its parent: arrays and spans of the arena; and the cores.

namespace mp = multifork;
namespace support = multifork::test;

namespace {

double sum(std::span<const double> numbers) {
    double all = 0;
    for (const double n : numbers)
        all += n;
    return all;
}
void fill(std::span<int> numbers, int with) {
    std::fill(numbers.begin(), numbers.end(), with);
}
std::vector<int> zeros(int count) {
    return std::vector<int>(static_cast<std::size_t>(count));
}

} // namespace

BOOST_AUTO_TEST_SUITE(pool_sharing)

MULTIFORK_EACH_START_METHOD(spans_of_the_arena_cross_without_a_copy) {
    mp::Pool pool{context, 2};
    mp::RawArray<double> numbers(100'000); // younger than the workers
    numbers.fill(0.5);
    const std::span<const double> all(numbers.data(), numbers.size());
    const auto before = mp::arena::arena_usage().bytes_used;
    BOOST_TEST(pool.apply(sum, all) == 50'000);
    BOOST_TEST(mp::arena::arena_usage().bytes_used < before + 100'000);
    // Parts of it, as the items of a map, and with them in a tuple.
    const std::vector<std::span<const double>> parts{all.first(10), all.subspan(10, 20), {}};
    BOOST_TEST((pool.map(sum, parts) == std::vector<double>{5, 10, 0}));
    const std::vector<std::pair<std::span<const double>, int>> with{{all.first(4), 3}};
    BOOST_TEST((pool.starmap([](std::span<const double> s, int n) { return sum(s) * n; }, with) ==
                std::vector<double>{6}));
    // Written in place.
    mp::RawArray<int> out(4);
    pool.apply(fill, std::span<int>(out.data() + 1, 2), 7);
    BOOST_TEST((out.to_vector() == std::vector{0, 7, 7, 0}));
    // Handed back: the same memory.
    const std::span<const double> back =
        pool.apply([](std::span<const double> s) { return s.subspan(1); }, all);
    BOOST_TEST(back.data() == all.data() + 1);
}

MULTIFORK_EACH_START_METHOD(arrays_cross_as_handles) {
    mp::Pool pool{context, 1};
    mp::Array<int> numbers(3);
    const auto put = [](mp::Array<int> array, int n) { array[0] = n; };
    pool.apply(put, numbers, 5);
    const int first = numbers[0];
    BOOST_TEST(first == 5);
}

BOOST_AUTO_TEST_CASE(other_spans_are_refused) {
    mp::Pool pool{1};
    const std::vector<double> own(10);
    support::expect_error<mp::NotShareable>(
        [&] { static_cast<void>(pool.submit(sum, std::span<const double>(own))); },
        {"does not lie in the arena", "std::vector"});
    mp::RawArray<double> inside(10);
    support::expect_error<mp::NotShareable>( // it goes beyond the arena's last block
        [&] {
            static_cast<void>(
                pool.submit(sum, std::span<const double>(inside.data(), std::size_t{1} << 50)));
        },
        {"does not lie in the arena"});
    BOOST_TEST(pool.apply(sum, std::span<const double>()) == 0);
}

BOOST_AUTO_TEST_CASE(the_parts_of_a_budget_are_all_of_it) {
    for (std::uint32_t cores = 1; cores < 20; ++cores)
        for (std::uint32_t seats = 1; seats < 20; ++seats) {
            std::uint32_t together = 0;
            for (std::uint32_t i = 0; i < seats; ++i) {
                BOOST_TEST(mp::detail::part_of(cores, seats, i) >= 1u);
                together += mp::detail::part_of(cores, seats, i);
            }
            BOOST_TEST(together == std::max(cores, seats));
        }
}

MULTIFORK_EACH_START_METHOD(nested_pools_share_the_cores) {
    const int cores = mp::cpu_count();
    BOOST_TEST(mp::core_budget() == cores);
    const auto inner_size = [](int) {
        mp::Pool inner;
        return static_cast<int>(inner.workers());
    };
    {
        mp::Pool one{context, 1};
        BOOST_TEST(one.apply(inner_size, 0) == cores); // nobody to share with
    }
    mp::Pool pool{context, 2};
    for (const int size : pool.map(inner_size, zeros(4), {.chunk_size = 1}))
        BOOST_TEST((size == std::max(cores / 2, 1) || size == std::max((cores + 1) / 2, 1)));
    // One deeper: what the inner pool's workers have, together, is no more than it has.
    const auto deep = [](int) {
        mp::Pool inner{2};
        const int own = mp::core_budget();
        const int part = inner.apply([] { return mp::core_budget(); });
        return part <= std::max((own + 1) / 2, 1) ? 1 : 0;
    };
    for (const int fits : pool.map(deep, zeros(2), {.chunk_size = 1}))
        BOOST_TEST(fits == 1);
    // What is asked for is given.
    BOOST_TEST(pool.apply([] { return mp::Pool{3}.workers(); }) == 3u);
}

BOOST_AUTO_TEST_CASE(nested_executors_and_threads_share_the_cores) {
    mp::Pool pool{2};
    const auto sizes = [](int) {
        const int own = mp::core_budget();
        const mp::ProcessPoolExecutor executor;
        const mp::ThreadPool threads;
        return executor.max_workers() == own &&
               mp::ThreadPoolExecutor::default_workers() == std::min(32, own + 4) &&
               threads.workers() == static_cast<std::size_t>(own) &&
               mp::detail::workers_for(-1) == static_cast<std::size_t>(own);
    };
    for (const bool fits : pool.map(sizes, zeros(2), {.chunk_size = 1}))
        BOOST_TEST(fits);
}

BOOST_AUTO_TEST_CASE(the_part_of_a_dead_worker_is_its_successors) {
    // More than the machine has, so that a worker without a part of it is noticed.
    const int each = mp::cpu_count() + 3;
    mp::detail::set_core_budget(static_cast<std::uint32_t>(2 * each));
    mp::Pool pool{2};
    mp::detail::set_core_budget(0); // as it was
    const auto part = [] { return mp::core_budget(); };
    BOOST_TEST(pool.apply(part) == each);
    for (int i = 0; i < 4; ++i) {
        pool.submit([] {
                mp::Pool inner;
                ::raise(SIGKILL);
            })
            .wait();
        BOOST_TEST(pool.apply(part) == each);
    }
}

BOOST_AUTO_TEST_SUITE_END()
