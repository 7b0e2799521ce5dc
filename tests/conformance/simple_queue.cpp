#include <multifork/arena/space.hpp>
#include <multifork/channel/simple_queue.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <iterator>
#include <string>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

/// Of shared memory. A file that was linked late has no name there.
std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    const std::string text(std::istreambuf_iterator<char>(maps), {});
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(" rw-s ", at)) != text.npos; ++at)
        ++found;
    return found;
}

} // namespace

BOOST_AUTO_TEST_SUITE(queue)

BOOST_AUTO_TEST_CASE(Q_013_empty_of_a_closed_simple_queue) {
    mp::SimpleQueue<int> never_used;
    never_used.close();
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(never_used.empty()); },
                                           {"is closed"});
    mp::SimpleQueue<int> used;
    BOOST_TEST(used.empty());
    used.close();
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(used.empty()); }, {"is closed"});
}

BOOST_AUTO_TEST_CASE(Q_014_closing_a_simple_queue_twice) {
    mp::SimpleQueue<int> queue;
    queue.close();
    queue.close();
}

// There are no two ends: close() gives the memory back, and of a named queue also the file.
BOOST_AUTO_TEST_CASE(Q_015_close_leaves_nothing_behind) {
    const auto blocks = mp::arena::arena_usage().blocks_used;
    mp::SimpleQueue<int> queue;
    queue.put(1);
    BOOST_TEST(mp::arena::arena_usage().blocks_used == blocks + 1);
    queue.close();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == blocks);

    const std::size_t descriptors = support::open_descriptors();
    const std::size_t before = mappings();
    auto named = mp::SimpleQueue<int>::create(support::own_name("simple"));
    named.put(1);
    BOOST_TEST(support::open_descriptors() > descriptors);
    BOOST_TEST(mappings() == before + 1);
    named.close();
    BOOST_TEST(support::open_descriptors() == descriptors);
    BOOST_TEST(mappings() == before);
}

BOOST_AUTO_TEST_SUITE_END()
