#include <multifork/core/claims.hpp>
#include <multifork/multifork.hpp>
#include <multifork/pool/map_job.hpp>

#include "support/changing_range.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <ranges>
#include <string>

// Maps that are too much for the memory that there is.

namespace mp = multifork;
namespace detail = multifork::detail;
namespace support = multifork::test;

namespace {

/// One that has no memory for its results.
class NoRoom final : public detail::MapJob {
public:
    using MapJob::MapJob;
    std::exception_ptr error;

private:
    void take_chunk(std::uint64_t, std::span<const std::byte>) override {}
    void finish(std::exception_ptr first) override {
        if (first == nullptr)
            throw std::bad_alloc();
        error = std::move(first);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(map_limits)

BOOST_AUTO_TEST_CASE(no_memory_for_the_results_fails_the_map) {
    const detail::PoolTable table({1, 8});
    detail::MapLayout layout;
    layout.items = layout.chunk_size = layout.shares = 1;
    layout.first_position = detail::MapJob::positions(1);
    const auto block =
        std::make_shared<detail::TaskBlock>(table.object(), multifork::core::Claims::bytes(1, 1));
    block->publish(mp::arena::Cargo());
    const auto job = std::make_shared<NoRoom>(table, nullptr);
    job->begin(block, layout);
    const auto shares = detail::MapJob::shares(job, 0);
    const multifork::core::Claims claims{
        reinterpret_cast<multifork::core::ClaimHeader*>(block->data()), 1, 1};
    multifork::core::ClaimWalk walk(claims, 0);
    BOOST_TEST_REQUIRE((walk.next() == 0u));
    walk.done(0, false, 0);
    shares[0]->done({});
    BOOST_TEST_REQUIRE((job->error != nullptr));
    BOOST_CHECK_THROW(std::rethrow_exception(job->error), std::bad_alloc);
    BOOST_TEST(job->is_finished());
}

BOOST_AUTO_TEST_CASE(an_input_longer_than_all_memory_is_refused) {
    mp::Pool pool{1};
    const auto same = [](std::uint64_t n) { return n; };
    // 8 bytes an item: the whole would be 2 to the 64th.
    const auto input = std::views::iota(std::uint64_t{0}, std::uint64_t{1} << 61);
    support::expect_error<mp::OutOfSharedMemory>([&] { pool.map(same, input); }, {"items"});
    support::expect_error<mp::OutOfSharedMemory>([&] { pool.map(same, input, {.chunk_size = 1}); },
                                                 {"items"});
    BOOST_TEST(pool.apply(same, std::uint64_t{3}) == 3u);
}

BOOST_AUTO_TEST_CASE(an_input_of_another_size_when_it_is_taken_is_refused) {
    mp::Pool pool{1};
    const auto same = [](int n) { return n; };
    const auto length = [](const std::string& text) { return text.size(); };
    const auto as_text = std::views::transform([](int n) { return std::to_string(n); });
    for (const std::size_t found : {std::size_t{8}, std::size_t{1}, std::size_t{0}}) {
        const support::ChangingRange input{2, found};
        support::expect_error<mp::InvalidArgument>([&] { pool.map(same, input); },
                                                   {"range of 2 items"});
        const support::ChangingRange another{2, found};
        support::expect_error<mp::InvalidArgument>([&] { pool.map(length, another | as_text); },
                                                   {"range of 2 items"});
    }
    BOOST_TEST(pool.apply(same, 3) == 3);
}

// The size of a queue is what is in it now; a loop over it ends when it is closed.
BOOST_AUTO_TEST_CASE(a_map_of_a_queue_takes_it_to_its_end) {
    const mp::Queue<int> queue{2};
    mp::Pool pool{2};
    mp::Process producer{[=] {
        for (int i = 0; i < 100; ++i)
            queue.put(i);
        queue.close();
    }};
    producer.start();
    BOOST_TEST(pool.map([](int n) { return n + 1; }, queue).size() == 100u);
    support::expect_exit(producer);
    BOOST_TEST(pool.map([](int n) { return n; }, mp::List<int>{1, 2, 3}).at(2) == 3);
}

BOOST_AUTO_TEST_SUITE_END()
