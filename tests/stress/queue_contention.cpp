#include "stress/numbered.hpp"
#include "stress/shared_table.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

// Many producers and consumers at one queue, blocking and with timeouts, nobody dies. There is no
// backstop, so that a wake-up that is lost hangs: flags that get lost are found here and nowhere
// else.

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;

namespace {

constexpr std::size_t most_workers = 4;
constexpr std::uint64_t most_items = 400'000; // of one producer
constexpr std::uint64_t line_step = 1ull << 32;

struct Book {
    std::array<std::array<std::atomic<std::uint8_t>, most_items>, most_workers> got;
    std::atomic<std::uint64_t> wrong; // torn, unknown, or out of order
};

struct Shape {
    std::size_t producers;
    std::size_t consumers;
    std::size_t capacity;
    bool spins; ///< false: everybody goes straight to sleep
};

/// Sometimes waits for ever, sometimes a few microseconds at a time, sometimes not at all.
template <class Blocking, class Timed>
void in_one_way_or_another(std::minstd_rand& random, Blocking blocking, Timed timed) {
    if (random() % 2 == 0)
        return blocking();
    while (!timed(std::chrono::microseconds(random() % 100))) {
    }
}

template <class T>
void contend(const Shape& shape, std::uint64_t items) {
    mp::liveness::tuning().tick_ns = 0;
    const auto before_spins = mp::liveness::tuning().spins.load();
    if (!shape.spins) {
        mp::liveness::tuning().spins = 0;
        mp::liveness::tuning().yields = 0;
    }
    const SharedTable<Book> book;
    mp::Queue<T> queue{shape.capacity};

    const auto produce = [&](std::size_t line) {
        std::minstd_rand random(static_cast<unsigned>(line + 1));
        for (std::uint64_t n = 0; n < items; ++n) {
            const T message = Numbered<T>::make(line * line_step + n);
            in_one_way_or_another(
                random, [&] { queue.put(message); },
                [&](auto wait) { return queue.try_put_for(message, wait); });
        }
    };
    const auto consume = [&](std::size_t line) {
        std::minstd_rand random(static_cast<unsigned>(line + 100));
        std::array<std::uint64_t, most_workers> next{};
        for (;;) {
            std::optional<T> message;
            in_one_way_or_another(
                random, [&] { message = queue.try_get_for(std::chrono::hours(24)); },
                [&](auto wait) {
                    message = queue.try_get_for(wait);
                    return message || (queue.closed() && queue.empty());
                });
            if (!message) {
                if (queue.closed() && queue.empty())
                    return;
                continue;
            }
            const std::uint64_t number = Numbered<T>::number(*message);
            const std::uint64_t from = number / line_step;
            const std::uint64_t n = number % line_step;
            // What one consumer sees of one producer is in order.
            if (!Numbered<T>::whole(*message) || from >= most_workers || n >= items ||
                n < next[from]) {
                ++book->wrong;
                continue;
            }
            next[from] = n + 1;
            ++book->got[from][n];
        }
    };

    std::vector<std::unique_ptr<mp::Process>> producers;
    std::vector<std::unique_ptr<mp::Process>> consumers;
    for (std::size_t i = 0; i < shape.consumers; ++i)
        consumers.push_back(std::make_unique<mp::Process>([&, i] { consume(i); }));
    for (std::size_t i = 0; i < shape.producers; ++i)
        producers.push_back(std::make_unique<mp::Process>([&, i] { produce(i); }));
    for (auto* group : {&consumers, &producers})
        for (auto& process : *group)
            process->start();
    for (auto* group : {&producers, &consumers}) {
        for (auto& process : *group) {
            process->join();
            BOOST_TEST(process->exitcode().value() == 0);
        }
        if (group == &producers)
            queue.close();
    }
    mp::liveness::tuning().spins = before_spins;

    std::uint64_t not_once = 0;
    for (std::size_t line = 0; line < shape.producers; ++line)
        for (std::uint64_t n = 0; n < items; ++n)
            not_once += book->got[line][n] != 1;
    BOOST_TEST_CONTEXT(shape.producers << "+" << shape.consumers << ", capacity "
                                       << shape.capacity) {
        BOOST_TEST(not_once == 0u);
        BOOST_TEST(book->wrong == 0u);
    }
}

template <class T>
void contend_in_all_shapes(std::uint64_t items) {
    for (const std::size_t workers : {1u, 2u, 4u})
        for (const std::size_t capacity : {1u, 64u})
            for (const bool spins : {false, true})
                contend<T>({workers, workers, capacity, spins}, items / workers);
}

} // namespace

BOOST_AUTO_TEST_SUITE(queue_contention)

BOOST_AUTO_TEST_CASE(every_item_is_got_once, *ut::label("fast")) {
    contend_in_all_shapes<Plain>(8'000);
}
BOOST_AUTO_TEST_CASE(every_message_is_got_once, *ut::label("fast")) {
    contend_in_all_shapes<std::string>(4'000);
}
BOOST_AUTO_TEST_CASE(every_item_is_got_once_for_long, *ut::label("full") * ut::timeout(600)) {
    contend_in_all_shapes<Plain>(most_items);
}
BOOST_AUTO_TEST_CASE(every_message_is_got_once_for_long, *ut::label("full") * ut::timeout(600)) {
    contend_in_all_shapes<std::string>(100'000);
}

BOOST_AUTO_TEST_SUITE_END()
