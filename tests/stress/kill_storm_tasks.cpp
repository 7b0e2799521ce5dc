#include "stress/numbered.hpp"
#include "stress/storm.hpp"

#include <multifork/channel/array.hpp>
#include <multifork/channel/joinable_queue.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

// Workers and producers of one JoinableQueue are killed at random and replaced, for seconds, while
// somebody joins. Then every item that was put was done: once, and once more at most for each
// worker that was killed between its mark and the end of task_done().

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t workers = 4;
constexpr std::size_t producers = 2;
constexpr std::size_t most = 4'000'000; // items of one producer

template <class T>
class Storm {
public:
    explicit Storm(unsigned seed) : random_(seed) {
        mp::liveness::tuning().tick_ns = 0; // a lost wake-up hangs, and the watchdog sees it
    }

    void rage(std::chrono::milliseconds time) {
        for (std::size_t i = 0; i < workers + producers; ++i)
            processes_.push_back(start(i));
        mp::Process joiner{[this] {
            while (stop_[0].load() == 0) {
                queue_.join();
                joins_[0].fetch_add(1);
            }
        }};
        joiner.start();
        const auto until = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
            replace(random_() % processes_.size());
        }
        stop_[0].store(1);
        for (std::size_t i = workers; i < processes_.size(); ++i)
            processes_[i]->join();
        queue_.join(); // the workers are still there
        joiner.join();
        queue_.close();
        for (auto& process : processes_) {
            process->join();
            BOOST_TEST(process->exitcode().value() == 0);
        }
    }

    void settle(const char* name) {
        std::uint64_t put = 0;
        std::uint64_t done = 0;
        std::uint64_t lost = 0;
        for (std::size_t i = 0; i < producers * most; ++i) {
            const std::uint32_t times = done_[i].load();
            const bool returned = returned_[i].load() != 0;
            put += returned;
            done += times;
            lost += returned && times == 0;
        }
        std::printf("%-28s %6llu kills, %9llu put, %9llu done, %llu redelivered, %llu joins\n",
                    name, static_cast<unsigned long long>(kills_),
                    static_cast<unsigned long long>(put), static_cast<unsigned long long>(done),
                    static_cast<unsigned long long>(redelivered_[0].load()),
                    static_cast<unsigned long long>(joins_[0].load()));
        BOOST_TEST(kills_ > 0u);
        BOOST_TEST(put > 0u);
        BOOST_TEST(lost == 0u);
        // A producer that was killed after its commit has put one more than it has noted.
        BOOST_TEST(done <= put + 2 * kills_);
        BOOST_TEST(torn_[0].load() == 0u);
        BOOST_TEST(queue_.unfinished() == 0u);
    }

private:
    std::unique_ptr<mp::Process> start(std::size_t i) {
        auto process = std::make_unique<mp::Process>([this, i] {
            if (i < workers)
                work();
            else
                produce(i - workers);
        });
        process->start();
        return process;
    }

    void work() {
        for (auto& task : queue_) {
            if (!Numbered<T>::whole(*task))
                torn_[0].fetch_add(1);
            if (task.tries() > 1)
                redelivered_[0].fetch_add(1);
            done_.at(Numbered<T>::number(*task)).fetch_add(1);
            task.task_done();
        }
    }

    void produce(std::size_t line) {
        while (stop_[0].load() == 0) {
            const std::uint64_t n = begun_[line].fetch_add(1); // a killed one's is not used again
            if (n >= most)
                return;
            queue_.put(Numbered<T>::make(line * most + n));
            returned_[line * most + n].store(1);
        }
    }

    void replace(std::size_t i) {
        processes_[i]->kill();
        processes_[i]->join();
        ++kills_;
        processes_[i] = start(i);
    }

    mp::JoinableQueue<T> queue_{8};
    mp::RawArray<std::uint32_t> done_{producers * most};
    mp::RawArray<std::uint8_t> returned_{producers * most};
    mp::RawArray<std::uint64_t> begun_{producers};
    mp::RawArray<int> stop_{1};
    mp::RawArray<std::uint64_t> redelivered_{1};
    mp::RawArray<std::uint64_t> joins_{1};
    mp::RawArray<std::uint64_t> torn_{1};
    std::vector<std::unique_ptr<mp::Process>> processes_;
    std::mt19937 random_;
    std::uint64_t kills_ = 0;
};

template <class T>
void storm(const char* name, std::chrono::milliseconds time) {
    multifork::test::storm([&](unsigned seed) {
        Storm<T> raging(seed);
        raging.rage(time);
        raging.settle(name);
    });
}

} // namespace

BOOST_AUTO_TEST_SUITE(kill_storm_tasks)

BOOST_AUTO_TEST_CASE(every_task_is_done, *ut::label("fast")) {
    storm<Plain>("tasks", 1500ms);
}
BOOST_AUTO_TEST_CASE(every_large_task_is_done, *ut::label("full")) {
    storm<std::string>("large tasks", 15s);
}
BOOST_AUTO_TEST_CASE(every_task_is_done_for_long, *ut::label("full")) {
    storm<Plain>("tasks, long", 15s);
}

BOOST_AUTO_TEST_SUITE_END()
