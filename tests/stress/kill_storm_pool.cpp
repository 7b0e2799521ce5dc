#include <multifork/arena/space.hpp>
#include <multifork/channel/array.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/pool/pool.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// The workers of a pool are killed at random while they work. Each task then is done, with the
// right result, or has failed because its worker died: one of the two, and as often as it has
// begun.

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t batch = 2000;

/// How often each task of a batch has begun, and how many workers have got ready.
using Counts = mp::RawArray<std::uint32_t>;
constexpr std::size_t ready_at = batch;

void count_ready(Counts counts) {
    counts[ready_at].fetch_add(1);
}

/// Long results go through a block, short ones through the slot.
std::string work(Counts begun, std::uint32_t n) {
    begun[n].fetch_add(1);
    return std::string(n % 7 == 0 ? 3000 : 10, static_cast<char>('a' + n % 26));
}

struct Account {
    std::uint64_t tasks = 0;
    std::uint64_t done = 0;
    std::uint64_t died = 0;
    std::uint64_t wrong = 0;
    std::uint64_t begun_twice = 0;
    std::uint64_t done_unbegun = 0;
    std::uint64_t kills = 0;
};

/// Kills any worker, also one that is not ready yet; but where getting ready takes longer than the
/// pauses here, it must not kill all there are before one is: six such deaths in a row break a
/// pool.
class Killer {
public:
    Killer(mp::Pool& pool, Counts counts, unsigned seed)
        : pool_(pool), counts_(std::move(counts)), random_(seed) {
        thread_ = std::jthread([this](const std::stop_token& stop) {
            constexpr int most_in_a_row = 2;
            std::uint32_t ready = 0;
            int in_a_row = 0;
            while (!stop.stop_requested()) {
                std::this_thread::sleep_for(std::chrono::microseconds(random_() % 6000));
                if (const std::uint32_t now = counts_[ready_at].load(); now != ready) {
                    ready = now;
                    in_a_row = 0;
                }
                if (++in_a_row > most_in_a_row)
                    continue;
                const auto workers = pool_.processes();
                if (workers.empty())
                    continue;
                try {
                    workers[random_() % workers.size()].kill();
                    ++kills_;
                } catch (const mp::Error&) {
                    // It has just been buried.
                }
            }
        });
    }
    std::uint64_t stop() {
        thread_.request_stop();
        thread_.join();
        return kills_;
    }

private:
    mp::Pool& pool_;
    Counts counts_;
    std::minstd_rand random_;
    std::uint64_t kills_ = 0;
    std::jthread thread_;
};

/// \param tasks  at least so many, and as long as that takes
Account storm(std::chrono::milliseconds time, const mp::PoolOptions& options,
              std::uint64_t tasks = 0) {
    mp::liveness::tuning().tick_ns = 0; // a lost wake-up hangs, and the watchdog sees it
    Account account;
    Counts begun(batch + 1);
    mp::Pool pool{4, options, count_ready, begun};
    Killer killer{pool, begun, 42};
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until || account.tasks < tasks) {
        for (std::size_t i = 0; i < batch; ++i)
            begun[i] = 0u;
        std::vector<mp::Future<std::string>> futures;
        for (std::uint32_t n = 0; n < batch; ++n)
            futures.push_back(pool.submit(work, begun, n));
        for (std::uint32_t n = 0; n < batch; ++n) {
            ++account.tasks;
            const std::string right(n % 7 == 0 ? 3000 : 10, static_cast<char>('a' + n % 26));
            bool is_done = false;
            try {
                account.wrong += futures[n].get() != right;
                is_done = true;
                ++account.done;
            } catch (const mp::WorkerDied&) {
                ++account.died;
            }
            const std::uint32_t times = begun[n].load();
            account.begun_twice +=
                options.when_worker_dies == mp::on_worker_death::fail_task && times > 1;
            account.done_unbegun += is_done && times == 0;
        }
    }
    account.kills = killer.stop();
    pool.close();
    pool.join();
    return account;
}

/// Maps with a chunk for each item: one that fails has lost as many items as workers died in it,
/// and has done all others; each of them once.
Account storm_of_maps(std::chrono::milliseconds time, const mp::PoolOptions& options) {
    mp::liveness::tuning().tick_ns = 0;
    Account account;
    Counts begun(batch + 1);
    mp::Pool pool{4, options, count_ready, begun};
    Killer killer{pool, begun, 43};
    std::vector<std::uint32_t> numbers(batch);
    for (std::uint32_t n = 0; n < batch; ++n)
        numbers[n] = n;
    const bool again = options.when_worker_dies == mp::on_worker_death::retry_task;
    const auto run = [&](auto function, auto is_right, const mp::MapOptions& how) {
        for (std::size_t i = 0; i < batch; ++i)
            begun[i] = 0u;
        account.tasks += batch;
        bool all_done = false;
        try {
            const auto results = pool.map(mp::bind_front(function, begun), numbers, how);
            all_done = true;
            for (std::uint32_t n = 0; n < batch; ++n)
                account.wrong += !is_right(results[n], n);
        } catch (const mp::WorkerDied&) {
            BOOST_TEST(!again);
        }
        std::uint64_t unbegun = 0;
        for (std::uint32_t n = 0; n < batch; ++n) {
            const std::uint32_t times = begun[n].load();
            account.begun_twice += !again && times > 1;
            account.done_unbegun += all_done && times == 0;
            unbegun += times == 0; // its worker died between the claim and the beginning
        }
        const std::uint64_t lost = all_done ? 0 : std::max<std::uint64_t>(unbegun, 1);
        account.died += lost;
        account.done += batch - lost;
    };
    const auto in_place = [](Counts& count, std::uint32_t n) {
        count[n].fetch_add(1);
        return n * 3;
    };
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
        run(in_place, [](std::uint32_t got, std::uint32_t n) { return got == n * 3; },
            {.chunk_size = 1});
        run(work,
            [](const std::string& got, std::uint32_t n) {
                return got == std::string(n % 7 == 0 ? 3000 : 10, static_cast<char>('a' + n % 26));
            },
            {.chunk_size = 1});
    }
    account.kills = killer.stop();
    pool.close();
    pool.join();
    return account;
}

void settle(const char* name, const Account& account) {
    std::printf("%-20s %6llu kills, %9llu tasks: %llu done, %llu died with their worker\n", name,
                static_cast<unsigned long long>(account.kills),
                static_cast<unsigned long long>(account.tasks),
                static_cast<unsigned long long>(account.done),
                static_cast<unsigned long long>(account.died));
    BOOST_TEST(account.kills > 0u);
    BOOST_TEST(account.done > 0u);
    BOOST_TEST(account.done + account.died == account.tasks);
    BOOST_TEST(account.died <= account.kills);
    BOOST_TEST(account.wrong == 0u);
    BOOST_TEST(account.begun_twice == 0u);
    BOOST_TEST(account.done_unbegun == 0u);
}

} // namespace

BOOST_AUTO_TEST_SUITE(kill_storm_pool)

BOOST_AUTO_TEST_CASE(every_task_is_accounted_for, *ut::label("fast")) {
    settle("fail", storm(2s, {}));
}

BOOST_AUTO_TEST_CASE(every_task_is_done_in_the_end_if_tried_again) {
    const Account account =
        storm(2s, {.when_worker_dies = mp::on_worker_death::retry_task, .retries = 1000});
    settle("retry", account);
    BOOST_TEST(account.died == 0u);
}

BOOST_AUTO_TEST_CASE(every_item_of_a_map_is_accounted_for, *ut::label("fast")) {
    settle("maps, fail", storm_of_maps(2s, {}));
}

BOOST_AUTO_TEST_CASE(every_item_of_a_map_is_done_if_tried_again) {
    const Account account =
        storm_of_maps(2s, {.when_worker_dies = mp::on_worker_death::retry_task, .retries = 1000});
    settle("maps, retry", account);
    BOOST_TEST(account.died == 0u);
}

BOOST_AUTO_TEST_CASE(a_million_tasks, *ut::label("full") * ut::timeout(900)) {
    settle("fail, a million", storm(0s, {}, 1'000'000));
}

BOOST_AUTO_TEST_CASE(for_a_minute, *ut::label("full") * ut::timeout(300)) {
    settle("fail, a minute", storm(60s, {}));
}

BOOST_AUTO_TEST_SUITE_END()
