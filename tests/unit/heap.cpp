#include <multifork/core/pipe_cell.hpp>
#include <multifork/error.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/small_space.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace arena = multifork::arena;
namespace support = multifork::test;

namespace {

constexpr std::size_t header_bytes = sizeof(arena::BlockHeader);

std::uint64_t owner_of(support::SmallSpace& small, std::uint64_t offset) {
    return small.heap().block(offset - header_bytes).owner.load();
}

bool all_zero(const std::byte* bytes, std::size_t count) {
    return std::all_of(bytes, bytes + count, [](std::byte b) { return b == std::byte{0}; });
}

} // namespace

BOOST_AUTO_TEST_SUITE(heap)

BOOST_AUTO_TEST_CASE(size_classes_fit_and_waste_at_most_a_fifth) {
    std::uint64_t last_bytes = 0;
    std::size_t last_index = 0;
    for (std::uint64_t bytes = 1; bytes < (1ULL << 47); bytes += 1 + bytes / 97) {
        const arena::SizeClass found = arena::size_class(bytes);
        BOOST_REQUIRE(found.bytes >= bytes);
        BOOST_REQUIRE(found.bytes % arena::block_unit == 0);
        BOOST_REQUIRE(found.index < arena::size_classes);
        if (bytes > 8 * arena::block_unit)
            BOOST_REQUIRE(found.bytes - bytes <= found.bytes / 5 + arena::block_unit);
        BOOST_REQUIRE((found.index == last_index) == (found.bytes == last_bytes));
        BOOST_REQUIRE(found.bytes >= last_bytes);
        // A block of a class, once freed, is found again under the same class.
        BOOST_REQUIRE(arena::size_class(found.bytes).index == found.index);
        last_bytes = found.bytes;
        last_index = found.index;
    }
}

BOOST_AUTO_TEST_CASE(blocks_are_aligned_and_do_not_overlap) {
    support::SmallSpace small(1 << 20);
    std::vector<std::pair<std::uint64_t, std::size_t>> blocks;
    for (std::size_t bytes = 0; bytes < 3000; bytes += 37)
        blocks.emplace_back(small.space().allocate(bytes, arena::Kind::bytes), bytes);
    std::sort(blocks.begin(), blocks.end());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        BOOST_TEST(blocks[i].first % 64 == 0U);
        if (i > 0)
            BOOST_TEST(blocks[i].first >=
                       blocks[i - 1].first + blocks[i - 1].second + header_bytes);
    }
    for (const auto& [offset, bytes] : blocks)
        small.space().free(offset);
    BOOST_TEST(small.space().usage().blocks_used == 0U);
    BOOST_TEST(small.space().usage().bytes_used == 0U);
}

BOOST_AUTO_TEST_CASE(small_blocks_that_were_freed_make_room_for_a_large_one) {
    support::SmallSpace small(1 << 20);
    std::vector<std::uint64_t> blocks;
    const auto fill = [&] {
        try {
            for (;;)
                blocks.push_back(small.space().allocate(100, arena::Kind::bytes));
        } catch (const mp::OutOfSharedMemory&) {
            BOOST_TEST_REQUIRE(blocks.size() > 1000U);
        }
    };
    fill();
    for (const std::uint64_t block : blocks) {
        std::memset(small.space().at(block), 0xEE, 100);
        small.space().free(block);
    }
    const std::uint64_t large = small.space().allocate(800'000, arena::Kind::lock);
    BOOST_TEST(all_zero(small.space().at(large), 800'000));
    BOOST_TEST(small.space().usage().blocks_used == 1U);
    small.space().free(large);
    // And a block between the free ones stays where it is.
    blocks.clear();
    fill();
    const std::uint64_t stays = blocks[blocks.size() / 2];
    std::memset(small.space().at(stays), 0x11, 100);
    for (const std::uint64_t block : blocks)
        if (block != stays)
            small.space().free(block);
    const std::uint64_t half = small.space().allocate(400'000, arena::Kind::bytes);
    std::memset(small.space().at(half), 0xEE, 400'000);
    BOOST_TEST(
        std::count(small.space().at(stays), small.space().at(stays) + 100, std::byte{0x11}) == 100);
    small.space().free(half);
    small.space().free(stays);
}

BOOST_AUTO_TEST_CASE(a_freed_block_is_used_again) {
    support::SmallSpace small(1 << 20);
    const std::uint64_t first = small.space().allocate(1000, arena::Kind::bytes);
    small.space().free(first);
    const std::uint64_t carved = small.space().usage().bytes_carved;
    BOOST_TEST(small.space().allocate(1000, arena::Kind::bytes) == first);
    BOOST_TEST(small.space().usage().bytes_carved == carved);
    small.space().free(first);
}

BOOST_AUTO_TEST_CASE(recycled_memory_is_zeroed) {
    support::SmallSpace small(64 << 20);
    for (const std::size_t bytes : {std::size_t{100}, std::size_t{5000}, std::size_t{20} << 20}) {
        const std::uint64_t dirty = small.space().allocate(bytes, arena::Kind::bytes);
        std::memset(small.space().at(dirty), 0xAB, bytes);
        small.space().free(dirty);
        const std::uint64_t again = small.space().allocate(bytes, arena::Kind::value);
        BOOST_TEST(again == dirty);
        BOOST_TEST(all_zero(small.space().at(again), bytes));
        small.space().free(again);
    }
}

BOOST_AUTO_TEST_CASE(owner_words_name_thread_process_and_ring) {
    support::SmallSpace small(1 << 20);
    arena::Space& space = small.space();
    space.give_to_process(space.allocate(1, arena::Kind::value)); // makes this process's record
    const std::uint64_t block = space.allocate(100, arena::Kind::message_ring);
    BOOST_TEST(owner_of(small, block) == mp::liveness::enter(small.domain()));
    space.give_to_process(block);
    BOOST_TEST((owner_of(small, block) & arena::owner_tag_mask) == arena::process_tag);
    const std::uint64_t message = space.allocate(100, arena::Kind::bytes);
    space.give_to_ring(message, block, 7);
    BOOST_TEST((owner_of(small, message) & arena::owner_tag_mask) == arena::ring_tag);
    space.free(message); // not this thread's: nothing happens
    BOOST_TEST((owner_of(small, message) & arena::owner_tag_mask) == arena::ring_tag);
    BOOST_TEST(!space.take_from_ring(message, message, 7)); // another "ring"
    BOOST_TEST(!space.take_from_ring(message, block, 8));   // another item of it
    BOOST_TEST(space.take_from_ring(message, block, 7));
    BOOST_TEST(!space.take_from_ring(message, block, 7)); // only once
    BOOST_TEST(owner_of(small, message) == mp::liveness::enter(small.domain()));
    space.free(message);
    BOOST_TEST(owner_of(small, message) == 0U);
    space.drop(block);
    BOOST_TEST(owner_of(small, block) == 0U);
}

BOOST_AUTO_TEST_CASE(another_threads_block_cannot_be_freed) {
    support::SmallSpace small(1 << 20);
    const std::uint64_t block = small.space().allocate(100, arena::Kind::bytes);
    std::thread other([&] {
        small.space().free(block);
        mp::liveness::detach(small.domain());
    });
    other.join();
    BOOST_TEST(small.space().usage().blocks_used == 1U);
    small.space().free(block);
}

BOOST_AUTO_TEST_CASE(a_sweep_frees_the_blocks_of_threads_that_ended) {
    support::SmallSpace small(1 << 20);
    const std::uint64_t mine = small.space().allocate(100, arena::Kind::bytes);
    std::thread other([&] {
        for (int i = 0; i < 5; ++i)
            static_cast<void>(small.space().allocate(200, arena::Kind::bytes));
        mp::liveness::detach(small.domain());
    });
    other.join();
    BOOST_TEST(small.space().usage().blocks_used == 6U);
    small.space().sweep();
    BOOST_TEST(small.space().usage().blocks_used == 1U);
    BOOST_TEST(owner_of(small, mine) == mp::liveness::enter(small.domain()));
    small.space().free(mine);
}

BOOST_AUTO_TEST_CASE(when_full_it_says_so_and_goes_on_when_something_was_freed) {
    support::SmallSpace small(1 << 20);
    std::vector<std::uint64_t> blocks;
    support::expect_error<mp::OutOfSharedMemory>(
        [&] {
            for (;;)
                blocks.push_back(small.space().allocate(10'000, arena::Kind::bytes));
        },
        {"bytes", "in use", "MULTIFORK_ARENA_BYTES"});
    BOOST_TEST(blocks.size() > 80U);
    BOOST_CHECK_THROW(static_cast<void>(small.space().allocate(10'000, arena::Kind::bytes)),
                      mp::OutOfSharedMemory);
    small.space().free(blocks.back());
    blocks.back() = small.space().allocate(10'000, arena::Kind::bytes);
    for (const std::uint64_t block : blocks)
        small.space().free(block);
    BOOST_TEST(small.space().usage().bytes_used == 0U);
}

BOOST_AUTO_TEST_CASE(more_than_the_whole_space_is_refused_at_once) {
    support::SmallSpace small(1 << 20);
    support::expect_error<mp::OutOfSharedMemory>(
        [&] { static_cast<void>(small.space().allocate(2 << 20, arena::Kind::bytes)); },
        {"2097152", "MULTIFORK_ARENA_BYTES"});
    for (const std::size_t absurd : {~std::size_t{0}, ~std::size_t{0} - 63, std::size_t{1} << 63})
        BOOST_CHECK_THROW(static_cast<void>(small.space().allocate(absurd, arena::Kind::bytes)),
                          mp::OutOfSharedMemory);
    BOOST_TEST(small.space().usage().blocks_used == 0U);
}

BOOST_AUTO_TEST_CASE(a_larger_free_block_serves_when_nothing_else_is_left) {
    support::SmallSpace small(1 << 20);
    std::vector<std::uint64_t> blocks;
    try {
        for (;;)
            blocks.push_back(small.space().allocate(10'000, arena::Kind::bytes));
    } catch (const mp::OutOfSharedMemory&) {
    }
    try {
        for (;;) // use up what lies behind the last large block
            blocks.push_back(small.space().allocate(1, arena::Kind::bytes));
    } catch (const mp::OutOfSharedMemory&) {
    }
    small.space().free(blocks.front());
    const std::uint64_t small_one = small.space().allocate(100, arena::Kind::bytes);
    BOOST_TEST(small_one == blocks.front());
}

BOOST_AUTO_TEST_CASE(offsets_from_shared_memory_are_checked) {
    support::SmallSpace small(1 << 20);
    const std::uint64_t block = small.space().allocate(100, arena::Kind::bytes);
    BOOST_TEST(small.space().checked(block, 100) == small.space().at(block));
    const auto refused = [&](std::uint64_t offset, std::size_t bytes) {
        support::expect_error<mp::CorruptSharedMemory>(
            [&] { static_cast<void>(small.space().checked(offset, bytes)); }, {"overwritten"});
    };
    refused(0, 1);
    refused(63, 1);
    refused(block + 1, 1);
    refused(block, 1 << 20);
    refused(block + (1 << 20), 1);
    refused(~std::uint64_t{0}, 1);
    refused(std::uint64_t{1} << 63, 1);
    small.space().free(block);
}

BOOST_AUTO_TEST_CASE(a_crowd_of_processes_that_is_gone_is_looked_at_no_more) {
    support::SmallSpace small(1 << 20, 16, 64);
    arena::Heap& heap = small.heap();
    static_cast<void>(small.space().impl().self());
    std::vector<arena::ProcessId> crowd;
    for (int i = 0; i < 40; ++i)
        crowd.push_back(heap.begin_process(0, static_cast<std::uint32_t>(::getpid()),
                                           arena::Birth::inherits_nothing));
    BOOST_TEST(heap.used_records() == 41U);
    for (std::size_t i = 0; i < crowd.size(); ++i)
        if (i != 20)
            heap.end_process(crowd[i]);
    heap.sweep();
    BOOST_TEST(heap.used_records() == 22U);
    BOOST_TEST(heap.is_current(crowd[20]));
    heap.end_process(crowd[20]);
    heap.sweep();
    BOOST_TEST(heap.used_records() == 1U);
}

// Destructors come to these, in threads that have never used the space.
BOOST_AUTO_TEST_CASE(what_must_not_throw_does_nothing_in_a_thread_without_a_slot) {
    support::SmallSpace small(1 << 20, 1);
    arena::Heap& heap = small.heap();
    const arena::ProcessId self = small.space().impl().self();
    const std::uint64_t own = heap.allocate(100, arena::Kind::bytes);
    const std::uint64_t object = heap.allocate(100, arena::Kind::value);
    heap.give_to_process(object, self);
    const std::uint64_t pipe =
        heap.allocate(sizeof(mp::core::PipeCell) + sizeof(mp::core::RingHeader), arena::Kind::pipe);
    const auto end = heap.join_pipe(pipe, self, 1);
    bool told = false;
    std::thread([&] {
        heap.free_own(own);
        heap.drop(object, self);
        heap.leave_pipe(pipe, end);
        heap.sweep();
        heap.say_pid(self, 1);
        heap.doubt_birth(self);
        heap.end_process(self);
        told = support::throws<mp::TooManyThreads>(
            [&] { static_cast<void>(heap.pipe_is_deserted(pipe, mp::core::PipeRole::reader)); });
    }).join();
    BOOST_TEST(told);
    BOOST_TEST(heap.is_current(self));
    BOOST_TEST(small.space().usage().blocks_used == 3U);
    BOOST_TEST(!heap.pipe_is_deserted(pipe, mp::core::PipeRole::reader));
    heap.leave_pipe(pipe, end);
    heap.drop(object, self);
    heap.free_own(pipe);
    heap.free_own(own);
    BOOST_TEST(small.space().usage().blocks_used == 0U);
}

// What was checked is what counts, not a second look.
BOOST_AUTO_TEST_CASE(a_size_that_changes_meanwhile_lets_no_length_pass,
                     *boost::unit_test::label("no_tsan")) {
    support::SmallSpace small(1 << 20);
    const std::uint64_t at = small.space().allocate(1000, arena::Kind::bytes);
    const std::atomic_ref<std::uint64_t> size(small.heap().block(at - header_bytes).size);
    const std::uint64_t right = size;
    std::atomic<bool> go_on{true};
    std::thread spoiler([&] {
        while (go_on)
            size = size == 0 ? right : 0;
    });
    bool passed = false;
    for (int i = 0; i < support::scaled(100'000); ++i)
        try {
            static_cast<void>(small.space().checked(at, std::size_t{1} << 40));
            passed = true;
        } catch (const mp::CorruptSharedMemory&) {
        }
    go_on = false;
    spoiler.join();
    size = right;
    BOOST_TEST(!passed);
}

BOOST_AUTO_TEST_CASE(slot_counts_are_not_read_from_shared_memory) {
    support::SmallSpace small(1 << 20);
    small.space().impl().set_process_name("itself");
    const auto name = mp::liveness::enter(small.domain());
    const auto* const records = small.heap().records();
    small.heap().segment().thread_slots = 1;
    small.heap().segment().process_slots = 0;
    BOOST_TEST(small.heap().records() == records);
    BOOST_TEST(small.space().process_name(name) == "itself");
}

BOOST_AUTO_TEST_CASE(threads_that_allocate_at_once_never_get_the_same_block) {
    support::SmallSpace small(8 << 20);
    constexpr int threads = 4;
    std::vector<std::thread> all;
    std::atomic<int> clashes{0};
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            std::vector<std::uint64_t> mine;
            for (int i = 0; i < 2'000; ++i) {
                const std::uint64_t block = small.space().allocate(64, arena::Kind::bytes);
                std::memset(small.space().at(block), t + 1, 64);
                mine.push_back(block);
                if (mine.size() < 50)
                    continue;
                for (const std::uint64_t one : mine) {
                    const std::byte* const bytes = small.space().at(one);
                    clashes += !std::all_of(bytes, bytes + 64, [&](std::byte b) {
                        return b == static_cast<std::byte>(t + 1);
                    });
                    small.space().free(one);
                }
                mine.clear();
            }
            mp::liveness::detach(small.domain());
        });
    for (std::thread& thread : all)
        thread.join();
    BOOST_TEST(clashes == 0);
    BOOST_TEST(small.space().usage().blocks_used == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
