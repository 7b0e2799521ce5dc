#include <multifork/pool/task_memory.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace support = multifork::test;
using multifork::detail::give_task_memory;
using multifork::detail::take_task_memory;

namespace {

using Pieces = std::vector<std::pair<void*, std::size_t>>;

/// Pieces of many sizes, each filled with a number of its own.
Pieces take_many(int count) {
    Pieces pieces;
    for (int i = 0; i < count; ++i) {
        const std::size_t bytes = 1 + static_cast<std::size_t>(i) * 37 % 1500;
        pieces.emplace_back(take_task_memory(bytes), bytes);
        std::memset(pieces.back().first, i % 251, bytes);
    }
    return pieces;
}
/// \return whether nobody else has written to one of them
bool give_all(const Pieces& pieces) {
    bool whole = true;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const auto [memory, bytes] = pieces[i];
        for (std::size_t at = 0; at < bytes; ++at)
            whole = whole && static_cast<unsigned char*>(memory)[at] == i % 251;
        give_task_memory(memory, bytes);
    }
    return whole;
}

} // namespace

// Memory for tasks, kept from one to the next.
BOOST_AUTO_TEST_SUITE(task_memory)

BOOST_AUTO_TEST_CASE(no_piece_is_given_out_twice) {
    for (int round = 0; round < 3; ++round) {
        const Pieces pieces = take_many(3000);
        std::set<void*> places;
        for (const auto& [memory, bytes] : pieces)
            places.insert(memory);
        BOOST_TEST(places.size() == pieces.size());
        BOOST_TEST(give_all(pieces));
    }
}

BOOST_AUTO_TEST_CASE(what_one_thread_takes_another_may_give) {
    for (int round = 0; round < 3; ++round) {
        Pieces pieces = take_many(3000); // of what those before have given, too
        bool whole = false;
        std::thread([&] { whole = give_all(pieces); }).join();
        BOOST_TEST(whole);
    }
}

BOOST_AUTO_TEST_CASE(several_threads_at_once) {
    std::vector<char> whole(4, 0);
    std::vector<std::thread> threads;
    for (char& mine : whole)
        threads.emplace_back([&mine] {
            mine = 1;
            for (int round = 0; round < 20; ++round)
                mine = give_all(take_many(1000)) ? mine : 0;
        });
    for (std::thread& thread : threads)
        thread.join();
    for (const char one : whole)
        BOOST_TEST(one == 1);
}

// One that was forked while another thread was at what all of them share does without it.
// (The allocators of ASan and TSan do not mind forks: in the child their locks may stay taken.)
BOOST_AUTO_TEST_CASE(a_forked_child_has_some_too,
                     *boost::unit_test::label("no_asan") * boost::unit_test::label("no_tsan")) {
    std::atomic<bool> over{false};
    std::thread busy([&] {
        while (!over.load())
            static_cast<void>(give_all(take_many(1000)));
    });
    for (int i = 0; i < 30; ++i) {
        support::RawChild child([] { return give_all(take_many(2000)) ? 0 : 1; });
        BOOST_TEST(child.wait() == 0);
    }
    over.store(true);
    busy.join();
}

BOOST_AUTO_TEST_SUITE_END()
