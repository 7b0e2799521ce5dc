#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/errors.hpp"
#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <limits>
#include <string>
#include <thread>

namespace mp = multifork;
namespace support = multifork::test;

// Arguments that cannot work. What a name may meet is in named_mismatch.cpp, a full memory in
// tests/process/out_of_memory.cpp, a Process used wrongly in tests/process/process_misuse.cpp.

namespace {

template <class Make>
void refused_capacity(Make make) {
    support::expect_error<mp::InvalidArgument>([&] { make(std::size_t{0}); }, {"at least 1"});
    for (const std::size_t absurd :
         {std::numeric_limits<std::size_t>::max(), std::size_t{1} << 62, std::size_t{1} << 48})
        support::expect_error<mp::InvalidArgument>([&] { make(absurd); }, {"no machine"});
}

/// A capacity that some machine may have room for, but not this one's arena.
constexpr std::size_t too_large = std::size_t{1} << 38;

template <class T>
void refused_capacity_of() {
    refused_capacity([](std::size_t capacity) { mp::Queue<T> queue{capacity}; });
    support::expect_error<mp::OutOfSharedMemory>([] { mp::Queue<T> queue{too_large}; },
                                                 {"asked for"});
}

} // namespace

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(capacity_of_a_queue_of_values) {
    refused_capacity_of<int>();
}

BOOST_AUTO_TEST_CASE(capacity_of_a_queue_of_messages) {
    refused_capacity_of<std::string>();
}

BOOST_AUTO_TEST_CASE(capacity_of_a_named_queue) {
    const std::string name = support::unique_name("absurd");
    refused_capacity(
        [&](std::size_t capacity) { static_cast<void>(mp::Queue<int>::create(name, capacity)); });
    // /dev/shm may have that much, but nobody means it.
    support::expect_error<mp::InvalidArgument>(
        [&] { static_cast<void>(mp::Queue<int>::create(name, too_large)); }, {"at most"});
    BOOST_CHECK_THROW(static_cast<void>(mp::Queue<std::string>::create(name, 4, ~std::size_t{0})),
                      mp::Error);
    BOOST_CHECK_THROW(
        static_cast<void>(mp::Queue<std::string>::create(name, 4, std::size_t{1} << 62)),
        mp::Error);
    BOOST_CHECK_THROW(static_cast<void>(mp::Queue<int>::open(name, 4)), mp::NotFound);
}

BOOST_AUTO_TEST_CASE(names_that_cannot_be) {
    const auto refused = [](const std::string& name,
                            std::initializer_list<std::string_view> words) {
        support::expect_error<mp::InvalidArgument>(
            [&] { static_cast<void>(mp::Lock::open_or_create(name)); }, words);
        support::expect_error<mp::InvalidArgument>(
            [&] { static_cast<void>(mp::Semaphore::create(name)); }, words);
        support::expect_error<mp::InvalidArgument>(
            [&] { static_cast<void>(mp::Value<int>::open(name)); }, words);
        support::expect_error<mp::InvalidArgument>(
            [&] { static_cast<void>(mp::Queue<int>::create(name, 4)); }, words);
        support::expect_error<mp::InvalidArgument>(
            [&] { static_cast<void>(mp::Queue<int>::remove(name)); }, words);
    };
    refused("", {"empty"});
    refused("a/b", {"slash"});
    refused("/a", {"slash"});
    refused("../a", {"slash"});
    refused(std::string("a\0b", 3), {"zero byte"});
    refused(std::string(201, 'x'), {"201", "200"});
    refused(std::string(100'000, 'x'), {"100000", "200"});
}

BOOST_AUTO_TEST_CASE(unlock_by_a_non_owner) {
    mp::Lock lock;
    support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"free", "only the thread"});
    lock.lock();
    std::thread([&] {
        support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"held by", "only the thread"});
    }).join();
    lock.unlock(); // and it is still the owner's
    support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"free"});
}

BOOST_AUTO_TEST_CASE(put_after_close) {
    mp::Queue<std::string> queue{4};
    queue.close();
    support::expect_error<mp::QueueClosed>([&] { queue.put("x"); }, {"closed"});
    support::expect_error<mp::QueueClosed>([&] { queue.put(std::string(10'000, 'x')); },
                                           {"closed"});
    BOOST_CHECK_THROW(static_cast<void>(queue.try_put("x")), mp::QueueClosed);
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_SUITE_END()
