#include <multifork/multifork.hpp>

#include "liveness/registry.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <multifork/arena/message_slot.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/core/semaphore_cell.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace core = multifork::core;
using namespace std::chrono_literals;

namespace {

constexpr std::array<std::uint64_t, 9> odd_numbers{
    1, 7, 64, 4096, 1u << 20, 0x7fff'ffff, 0xffff'ffff, ~std::uint64_t{0} >> 1, ~std::uint64_t{0}};

/// Runs `act`, which may throw an Error and nothing else.
void survive(const std::function<void()>& act) {
    try {
        act();
    } catch (const mp::Error&) {
    }
}

template <class Act>
void expect_corrupt(Act act) {
    support::expect_error<mp::CorruptSharedMemory>(act, {"overwritten", "process that writes"});
}

/// A queue whose bytes a test can overwrite.
template <class T>
struct Spoiled {
    explicit Spoiled(std::size_t capacity = 4) : queue(mp::Queue<T>::create(name, capacity)) {}

    [[nodiscard]] core::RingHeader& ring() const { return bytes.root<core::RingHeader>(); }
    [[nodiscard]] mp::arena::MessageSlot& slot(std::size_t i) const {
        return *reinterpret_cast<mp::arena::MessageSlot*>(ring().slots() +
                                                          i * mp::arena::message_slot_bytes);
    }

    std::string name = support::unique_name("spoiled");
    mp::Queue<T> queue;
    support::Bytes bytes{name};
};

/// All that one can do with a queue, without waiting.
template <class T>
void use(mp::Queue<T>& queue, const T& item) {
    survive([&] { static_cast<void>(queue.try_get()); });
    survive([&] { static_cast<void>(queue.try_put(item)); });
    survive([&] { static_cast<void>(queue.try_put_for(item, 1ms)); });
    survive([&] { static_cast<void>(queue.try_get_for(1ms)); });
    survive([&] { BOOST_TEST_REQUIRE(queue.size() <= queue.capacity()); });
    survive([&] { static_cast<void>(queue.to_string()); });
    survive([&] { queue.close(); });
}

} // namespace

// Bytes of a living object that another process overwrites: an exception, or a wrong item, but no
// crash and no hang.
BOOST_AUTO_TEST_SUITE(damaged_memory)

BOOST_AUTO_TEST_CASE(a_beacon_whose_links_lead_nowhere) {
    for (const std::uintptr_t where : {std::uintptr_t{0}, std::uintptr_t{0x1000},
                                       ~std::uintptr_t{0} - 7, std::uintptr_t{0x4141'4141'4141}})
        for (const bool spoil_next : {true, false}) {
            Spoiled<int> before;
            Spoiled<int> spoiled;
            Spoiled<int> after;
            std::thread user([&] {
                before.queue.put(1);
                spoiled.queue.put(1);
                after.queue.put(1);
                const auto slots = spoiled.bytes.header().thread_slots;
                auto& registry =
                    spoiled.bytes.at<mp::liveness::Registry>(mp::arena::registry_offset);
                for (std::uint32_t i = 0; i < slots; ++i) {
                    auto& node = registry.beacons()[i].node;
                    if ((node.word & mp::platform::futex_tid_mask) !=
                        static_cast<std::uint32_t>(gettid()))
                        continue;
                    (spoil_next ? node.next : node.prev) = reinterpret_cast<void*>(where);
                }
            }); // which leaves all three at its end
            user.join();
            BOOST_TEST(before.queue.get() == 1);
            BOOST_TEST(after.queue.get() == 1);
            BOOST_TEST(spoiled.queue.get() == 1);
        }
}

BOOST_AUTO_TEST_CASE(more_items_put_than_there_are_slots) {
    Spoiled<int> spoiled;
    spoiled.queue.put(1);
    spoiled.ring().tail.store(100 << 1);
    expect_corrupt([&] { spoiled.queue.put(2); });
    expect_corrupt([&] { static_cast<void>(spoiled.queue.try_put(2)); });
    expect_corrupt([&] { static_cast<void>(spoiled.queue.get()); });
    expect_corrupt([&] { static_cast<void>(spoiled.queue.try_get()); });
    BOOST_TEST(spoiled.queue.size() <= 4u);
}

BOOST_AUTO_TEST_CASE(more_items_taken_than_put) {
    Spoiled<int> spoiled;
    spoiled.ring().head.store(10 << 1);
    expect_corrupt([&] { static_cast<void>(spoiled.queue.try_get()); });
    BOOST_TEST(spoiled.queue.size() == 0u);
    BOOST_TEST(spoiled.queue.to_string() == "<Queue 0/4 open>");
}

BOOST_AUTO_TEST_CASE(slots_that_do_not_exist) {
    for (const std::uint64_t odd : odd_numbers) {
        if (odd < 4)
            continue;
        Spoiled<int> spoiled;
        spoiled.queue.put(1);
        spoiled.ring().tail_slot = odd;
        expect_corrupt([&] { spoiled.queue.put(2); });
        spoiled.ring().head_slot = odd;
        expect_corrupt([&] { static_cast<void>(spoiled.queue.get()); });
        // Mended, it works again: nothing kept its lock.
        spoiled.ring().tail_slot = 1;
        spoiled.ring().head_slot = 0;
        spoiled.queue.put(2);
        BOOST_TEST(spoiled.queue.get() == 1);
        BOOST_TEST(spoiled.queue.get() == 2);
    }
}

BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_a_ring) {
    for (std::size_t word = 0; word < sizeof(core::RingHeader) / 8; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            Spoiled<int> spoiled;
            spoiled.queue.put(1);
            spoiled.queue.put(2);
            spoiled.bytes.at<std::uint64_t>(spoiled.bytes.header().root + word * 8) = odd;
            use(spoiled.queue, 3);
        }
}

BOOST_AUTO_TEST_CASE(a_message_longer_than_its_slot) {
    Spoiled<std::string> spoiled;
    spoiled.queue.put("short");
    for (const std::uint64_t size : {mp::arena::inline_message_bytes + 1, std::size_t{1} << 40}) {
        spoiled.slot(0).size = size;
        expect_corrupt([&] { static_cast<void>(spoiled.queue.get()); });
    }
}

BOOST_AUTO_TEST_CASE(a_message_longer_than_its_block) {
    Spoiled<std::string> spoiled;
    spoiled.queue.put(std::string(1000, 'x'));
    for (const std::uint64_t size :
         {std::uint64_t{5000}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
        spoiled.slot(0).size = size;
        expect_corrupt([&] { static_cast<void>(spoiled.queue.get()); });
    }
}

BOOST_AUTO_TEST_CASE(a_message_shorter_than_its_contents_say) {
    Spoiled<std::string> spoiled;
    spoiled.queue.put("a text of some length");
    spoiled.slot(0).size = 12;
    support::expect_error<mp::CorruptSharedMemory>([&] { static_cast<void>(spoiled.queue.get()); },
                                                   {"message"});
    spoiled.queue.put("the next");
    BOOST_TEST(spoiled.queue.get() == "the next");
}

BOOST_AUTO_TEST_CASE(a_message_in_a_block_that_does_not_exist) {
    const std::string text(1000, 'x');
    for (const std::uint64_t odd : odd_numbers) {
        Spoiled<std::string> spoiled;
        spoiled.queue.put(text);
        spoiled.slot(0).block.store(odd);
        expect_corrupt([&] { static_cast<void>(spoiled.queue.get()); });
        use(spoiled.queue, text);
    }
    // One that does, and is not the queue's: the queue itself.
    Spoiled<std::string> spoiled;
    spoiled.queue.put(text);
    spoiled.slot(0).size = 10;
    spoiled.slot(0).block.store(spoiled.bytes.header().root);
    expect_corrupt([&] { static_cast<void>(spoiled.queue.get()); });
    use(spoiled.queue, text);
}

BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_a_block_header) {
    const std::string text(1000, 'x');
    for (std::size_t word = 0; word < 8; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            Spoiled<std::string> spoiled;
            spoiled.queue.put(text);
            spoiled.queue.put(text);
            static_cast<void>(spoiled.queue.get()); // one block in use, one free
            const std::uint64_t begin = spoiled.bytes.header().heap_begin;
            const auto size_at = [&](std::uint64_t at) {
                return spoiled.bytes.at<mp::arena::BlockHeader>(at).size;
            };
            const std::uint64_t first = begin + size_at(begin);
            const std::uint64_t second = first + size_at(first);
            for (const std::uint64_t block : {first, second})
                spoiled.bytes.at<std::uint64_t>(block + word * 8) = odd;
            use(spoiled.queue, text);
            use(spoiled.queue, std::string(30'000, 'y'));
        }
}

BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_the_heap) {
    const std::string text(1000, 'x');
    for (std::size_t word = 0; word < sizeof(mp::arena::HeapHeader) / 8; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            Spoiled<std::string> spoiled;
            spoiled.queue.put(text);
            spoiled.bytes.at<std::uint64_t>(512 + word * 8) = odd;
            use(spoiled.queue, text);
        }
}

BOOST_AUTO_TEST_CASE(free_lists_that_lead_nowhere_or_to_blocks_in_use) {
    const std::string text(1000, 'x');
    Spoiled<std::string> spoiled;
    spoiled.queue.put(text);
    const std::uint64_t in_use = spoiled.slot(0).block.load() - sizeof(mp::arena::BlockHeader);
    for (const std::uint64_t head :
         {std::uint64_t{64}, spoiled.bytes.size(), std::uint64_t{1} << 50, in_use}) {
        spoiled.bytes.heap().free_heads.fill(head);
        spoiled.queue.put(text); // forgets the list, and carves
        BOOST_TEST(spoiled.queue.get() == text);
    }
    BOOST_TEST(spoiled.queue.get() == text);
}

BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_a_semaphore) {
    for (std::size_t word = 0; word < sizeof(core::SemaphoreCell) / 8 + 4; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            const std::string name = support::unique_name("semaphore");
            auto permits = mp::Semaphore::create(name, 2);
            const support::Bytes bytes(name);
            permits.acquire();
            bytes.at<std::uint64_t>(bytes.header().root + word * 8) = odd;
            survive([&] { static_cast<void>(permits.try_acquire()); });
            survive([&] { static_cast<void>(permits.try_acquire_for(1ms)); });
            survive([&] { static_cast<void>(permits.value()); });
            survive([&] { permits.release(); });
            survive([&] { permits.release(); });
        }
}

BOOST_AUTO_TEST_CASE(a_semaphore_without_a_ledger_is_refused_when_it_is_opened) {
    const std::string name = support::unique_name("ledger");
    auto made = mp::Semaphore::create(name, 2);
    const support::Bytes bytes(name);
    bytes.root<core::SemaphoreCell>().capacity = 1'000'000;
    support::expect_error<mp::CorruptSharedMemory>([&] { mp::Semaphore::open(name, 2); },
                                                   {name, "overwritten"});
}

BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_a_value) {
    using Four = std::array<std::int64_t, 4>;
    for (std::size_t word = 0; word < 12; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            const std::string name = support::unique_name("value");
            auto value = mp::Value<Four>::create(name, Four{1, 2, 3, 4});
            const support::Bytes bytes(name);
            bytes.at<std::uint64_t>(bytes.header().root + word * 8) = odd;
            survive([&] { static_cast<void>(value.value().get()); });
            survive([&] { static_cast<void>(value.load()); });
            survive([&] { value.store(Four{}); });
            survive([&] { value.update([](Four& f) { f[0] += 1; }); });
            survive([&] { static_cast<void>(value.get_lock().recover()); });
            survive([&] { static_cast<void>(value.get_lock().to_string()); });
        }
}

BOOST_AUTO_TEST_CASE(a_lock_held_by_nobody_that_ever_was) {
    for (const std::uint64_t odd : odd_numbers) {
        const std::string name = support::unique_name("lock");
        auto lock = mp::Lock::create(name);
        const support::Bytes bytes(name);
        bytes.root<std::uint64_t>() = odd;
        try {
            lock.lock(); // taken over at once if the word says that nothing needs repair
        } catch (const mp::OwnerDied&) {
            BOOST_TEST(lock.to_string() == "<Lock owner died>");
            BOOST_TEST(lock.recover());
            lock.lock();
        }
        lock.unlock();
        BOOST_TEST(lock.to_string() == "<Lock free>");
    }
}

// The same as a program would do that writes through a wild pointer: many words at once.
BOOST_AUTO_TEST_CASE(random_words_all_over_a_queue, *boost::unit_test::timeout(120)) {
    std::mt19937_64 random(4711);
    const std::string text(1000, 'x');
    for (int round = 0; round < support::scaled(200); ++round) {
        Spoiled<std::string> spoiled;
        spoiled.queue.put(text);
        spoiled.queue.put("short");
        support::RawChild child([&] {
            const std::uint64_t begin = spoiled.bytes.header().heap_begin;
            for (int i = 0; i < 20; ++i) {
                const std::uint64_t span = i % 2 == 0 ? 1024 : 8192;
                std::uint64_t word = random();
                word = i % 3 == 0 ? word % 8 : i % 3 == 1 ? word % 65536 : word;
                spoiled.bytes.at<std::uint64_t>(begin + random() % span / 8 * 8) = word;
                use(spoiled.queue, text);
            }
            return 0;
        });
        BOOST_TEST(child.wait() == 0);
        random.discard(40);
    }
}

BOOST_AUTO_TEST_SUITE_END()
