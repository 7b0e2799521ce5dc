#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// Bytes of a living lock, event, condition, barrier or semaphore that another process overwrites:
// an exception or a wrong answer, but no crash and no hang of what does not wait.

namespace {

constexpr std::array<std::uint64_t, 9> odd_numbers{
    1, 7, 64, 4096, 1u << 20, 0x7fff'ffff, 0xffff'ffff, ~std::uint64_t{0} >> 1, ~std::uint64_t{0}};

void survive(const std::function<void()>& act) {
    try {
        act();
    } catch (const mp::Error&) {
    }
}

/// Puts every odd number into every one of the first words, each time with a new object.
template <class Make, class Use>
void spoil(std::size_t bytes, Make make, Use use) {
    const std::string name = support::unique_name("spoiled");
    for (std::size_t word = 0; word < bytes / 8; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            auto object = make(name);
            const support::Bytes raw(name);
            raw.at<std::uint64_t>(raw.header().root + word * 8) = odd;
            use(object);
        }
}

} // namespace

BOOST_AUTO_TEST_SUITE(damaged_sync)

BOOST_AUTO_TEST_CASE(an_event) {
    spoil(
        8, [](const std::string& name) { return mp::Event::create(name); },
        [](mp::Event& event) {
            static_cast<void>(event.wait_for(1ms));
            event.set();
            BOOST_TEST(event.wait_for(1ms));
            event.clear();
            BOOST_TEST(!event.is_set());
        });
}

BOOST_AUTO_TEST_CASE(a_recursive_lock) {
    spoil(
        sizeof(mp::RLock::Block), [](const std::string& name) { return mp::RLock::create(name); },
        [](mp::RLock& lock) {
            survive([&] { static_cast<void>(lock.try_lock()); });
            survive([&] { static_cast<void>(lock.try_lock_for(1ms)); });
            survive([&] { lock.unlock(); });
            survive([&] { static_cast<void>(lock.recover()); });
            static_cast<void>(lock.to_string());
        });
}

BOOST_AUTO_TEST_CASE(a_bounded_semaphore) {
    spoil(
        96, [](const std::string& name) { return mp::BoundedSemaphore::create(name, 2); },
        [](mp::BoundedSemaphore& permits) {
            survive([&] { static_cast<void>(permits.try_acquire()); });
            survive([&] { static_cast<void>(permits.try_acquire_for(1ms)); });
            survive([&] { permits.release(); });
            survive([&] { static_cast<void>(permits.to_string()); });
        });
}

BOOST_AUTO_TEST_CASE(a_condition) {
    mp::Lock lock;
    spoil(
        96, [](const std::string& name) { return mp::Condition::create(name); },
        [&](mp::Condition& condition) {
            std::unique_lock hold{lock};
            survive([&] { static_cast<void>(condition.wait_for(hold, 1ms)); });
            survive([&] { condition.notify_one(); });
            survive([&] { condition.notify_all(); });
            BOOST_TEST(condition.waiters() <= mp::core::max_condition_waiters);
        });
}

BOOST_AUTO_TEST_CASE(a_barrier) {
    spoil(
        96, [](const std::string& name) { return mp::Barrier::create(name, 2); },
        [](mp::Barrier& barrier) {
            survive([&] { static_cast<void>(barrier.arrive_and_wait_for(1ms)); });
            survive([&] { barrier.abort(); });
            survive([&] { barrier.reset(); });
            BOOST_TEST(barrier.waiting() <= 2u);
            static_cast<void>(barrier.to_string());
        });
}

BOOST_AUTO_TEST_CASE(a_reader_writer_lock) {
    spoil(
        96, [](const std::string& name) { return mp::RWLock::create(name); },
        [](mp::RWLock& lock) {
            survive([&] { static_cast<void>(lock.try_lock_shared()); });
            survive([&] { static_cast<void>(lock.try_lock_shared_for(1ms)); });
            survive([&] { lock.unlock_shared(); });
            survive([&] { static_cast<void>(lock.try_lock_for(1ms)); });
            survive([&] { lock.unlock(); });
            survive([&] { static_cast<void>(lock.recover()); });
            static_cast<void>(lock.to_string());
        });
}

BOOST_AUTO_TEST_SUITE_END()
