#include "stress/numbered.hpp"
#include "stress/shared_table.hpp"
#include "stress/storm.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

// Producers and consumers of one queue are killed at random and replaced, for seconds. Then every
// item is accounted for: put() returned, so it was got once, or died with a consumer that was
// killed in get(); nothing was got twice or torn.

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t lines = 3;                // producers, and as many consumers
constexpr std::uint64_t most = 25'000'000;      // items of one line
constexpr std::uint64_t line_step = 1ull << 32; // item = line * line_step + number

struct Book {
    struct Producer {
        std::atomic<std::uint64_t> begun; // put() of this number was called
        std::array<std::atomic<std::uint8_t>, most> returned;
    };
    std::array<Producer, lines> producers;
    std::array<std::atomic<std::uint32_t>, lines> in_get; // 1: between the call and the record
    std::array<std::array<std::atomic<std::uint8_t>, most>, lines> got;
    std::atomic<std::uint64_t> torn;
    std::atomic<std::uint64_t> unknown;
    std::atomic<bool> stop;
};

template <class T>
class Storm {
public:
    Storm(std::size_t capacity, unsigned seed) : queue_(capacity), random_(seed) {
        mp::liveness::tuning().tick_ns = 0; // a lost wake-up hangs, and the watchdog sees it
    }

    void rage(std::chrono::milliseconds time) {
        for (std::size_t i = 0; i < 2 * lines; ++i)
            workers_.push_back(start(i));
        const auto until = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
            replace(random_() % (2 * lines));
        }
        calm_down();
    }

    void settle(const char* name) {
        Book& book = *book_;
        std::uint64_t put = 0;
        std::uint64_t got = 0;
        std::uint64_t lost = 0;
        std::uint64_t doubled = 0;
        std::uint64_t never_put = 0;
        for (std::size_t line = 0; line < lines; ++line)
            for (std::uint64_t n = 0; n < most; ++n) {
                const unsigned times = book.got[line][n];
                const bool returned = book.producers[line].returned[n] != 0;
                put += returned;
                got += times;
                lost += returned && times == 0;
                doubled += times > 1;
                never_put += times > 0 && n > book.producers[line].begun;
            }
        std::printf("%-28s %6llu kills, %9llu put, %9llu got, %llu died with a consumer "
                    "(%llu killed in get)\n",
                    name, static_cast<unsigned long long>(kills_),
                    static_cast<unsigned long long>(put), static_cast<unsigned long long>(got),
                    static_cast<unsigned long long>(lost),
                    static_cast<unsigned long long>(killed_in_get_));
        BOOST_TEST(kills_ > 0u);
        BOOST_TEST(got > 0u);
        BOOST_TEST(lost <= killed_in_get_);
        BOOST_TEST(doubled == 0u);
        BOOST_TEST(never_put == 0u);
        BOOST_TEST(book.torn == 0u);
        BOOST_TEST(book.unknown == 0u);
        BOOST_TEST(queue_.empty());
    }

private:
    std::unique_ptr<mp::Process> start(std::size_t worker) {
        auto process = std::make_unique<mp::Process>([this, worker] {
            if (worker < lines)
                produce(worker);
            else
                consume(worker - lines);
        });
        process->start();
        return process;
    }

    void produce(std::size_t line) {
        Book::Producer& mine = book_->producers[line];
        while (!book_->stop) {
            const std::uint64_t n =
                mine.begun + 1; // that of a killed predecessor is not used again
            if (n >= most)
                return;
            mine.begun = n;
            queue_.put(Numbered<T>::make(line * line_step + n));
            mine.returned[n] = 1;
        }
    }

    void consume(std::size_t line) {
        for (;;) {
            book_->in_get[line] = 1;
            const std::optional<T> message = queue_.try_get_for(24h);
            if (!message) {
                book_->in_get[line] = 0;
                return; // closed and drained
            }
            record(*message);
            book_->in_get[line] = 0;
        }
    }

    void record(const T& message) {
        if (!Numbered<T>::whole(message)) {
            ++book_->torn;
            return;
        }
        const std::uint64_t number = Numbered<T>::number(message);
        if (number / line_step >= lines || number % line_step >= most)
            ++book_->unknown;
        else
            ++book_->got[number / line_step][number % line_step];
    }

    void replace(std::size_t i) {
        mp::Process& worker = *workers_[i];
        worker.kill();
        worker.join();
        if (worker.exitcode() == -9) {
            ++kills_;
            if (i >= lines && book_->in_get[i - lines].exchange(0) != 0)
                ++killed_in_get_;
        } else {
            BOOST_TEST(worker.exitcode().value() == 0);
        }
        workers_[i] = start(i);
    }

    void calm_down() {
        book_->stop = true;
        for (std::size_t i = 0; i < 2 * lines; ++i) {
            if (i == lines)
                queue_.close();
            workers_[i]->join();
            BOOST_TEST(workers_[i]->exitcode().value() == 0);
        }
    }

    mp::Queue<T> queue_;
    SharedTable<Book> book_;
    std::minstd_rand random_;
    std::vector<std::unique_ptr<mp::Process>> workers_;
    std::uint64_t kills_ = 0;
    std::uint64_t killed_in_get_ = 0;
};

template <class T>
void storm(const char* name, std::size_t capacity, std::chrono::milliseconds time) {
    multifork::test::storm([&](unsigned seed) {
        Storm<T> raging(capacity, seed);
        raging.rage(time);
        raging.settle(name);
    });
}

} // namespace

BOOST_AUTO_TEST_SUITE(kill_storm)

BOOST_AUTO_TEST_CASE(a_queue_of_small_items_loses_nothing, *ut::label("fast")) {
    storm<Plain>("plain, capacity 16", 16, 1s);
}
BOOST_AUTO_TEST_CASE(a_queue_of_messages_loses_nothing, *ut::label("fast")) {
    storm<std::string>("messages, capacity 4", 4, 1s);
}
BOOST_AUTO_TEST_CASE(a_queue_of_small_items_loses_nothing_for_long,
                     *ut::label("full") * ut::timeout(180)) {
    storm<Plain>("plain, capacity 16", 16, 10s);
    storm<Plain>("plain, capacity 1", 1, 5s);
}
BOOST_AUTO_TEST_CASE(a_queue_of_messages_loses_nothing_for_long,
                     *ut::label("full") * ut::timeout(180)) {
    storm<std::string>("messages, capacity 4", 4, 10s);
    storm<std::string>("messages, capacity 64", 64, 5s);
}

BOOST_AUTO_TEST_SUITE_END()
