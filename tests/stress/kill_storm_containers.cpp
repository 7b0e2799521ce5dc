#include "stress/shared_table.hpp"
#include "stress/storm.hpp"

#include <multifork/channel/dict.hpp>
#include <multifork/channel/list.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

// Processes change one list and one dict, and are killed at random and replaced. Each notes, past
// the library, what it is about to do and what it has done. At the end every change that had
// returned is there, and of each that was begun, at most one step more: the one in which its
// process was killed.

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t workers = 4;

/// One worker's notes; a killed one's successor goes on in them.
struct Notes {
    std::atomic<std::uint64_t> pushes_begun, pushes_done;
    std::atomic<std::uint64_t> pops_done;
    std::atomic<std::uint64_t> adds_begun, adds_done;
    std::atomic<std::uint64_t> torn;
};
struct Table {
    std::array<Notes, workers> notes;
    std::atomic<bool> stop;
};

std::string element(std::size_t worker, std::uint64_t n) {
    return std::to_string(worker) + ":" + std::to_string(n) + ":" + std::string(n % 200, 'x');
}
bool whole(const std::string& text) {
    const std::size_t first = text.find(':');
    const std::size_t second = text.find(':', first + 1);
    return second != text.npos &&
           text == element(std::stoul(text), std::stoull(text.substr(first + 1)));
}

class Storm {
public:
    explicit Storm(unsigned seed) : random_(seed) {
        mp::liveness::tuning().tick_ns = 0; // a lost wake-up hangs, and the watchdog sees it
    }

    void rage(std::chrono::milliseconds time) {
        for (std::size_t i = 0; i < workers; ++i)
            processes_.push_back(start(i));
        const auto until = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
            const std::size_t i = random_() % workers;
            processes_[i]->kill();
            processes_[i]->join();
            ++kills_;
            ++kills_of_[i];
            processes_[i] = start(i);
        }
        table_->stop.store(true);
        for (auto& process : processes_) {
            process->join();
            BOOST_TEST(process->exitcode().value() == 0);
        }
    }

    void settle(const char* name) {
        std::uint64_t pushed = 0;
        std::uint64_t popped = 0;
        std::uint64_t added = 0;
        for (std::size_t i = 0; i < workers; ++i) {
            const Notes& notes = table_->notes[i];
            pushed += notes.pushes_done;
            popped += notes.pops_done;
            added += notes.adds_done;
            BOOST_TEST(notes.torn == 0u);
            const std::uint64_t sum =
                static_cast<std::uint64_t>(dict_.get("worker " + std::to_string(i), 0));
            BOOST_TEST(sum >= notes.adds_done);
            BOOST_TEST(sum <= notes.adds_begun);
            BOOST_TEST(sum <= notes.adds_done + kills_of_[i]);
        }
        std::printf("%-28s %6llu kills, %llu pushed, %llu popped, %llu added, %llu and %llu "
                    "repairs\n",
                    name, static_cast<unsigned long long>(kills_),
                    static_cast<unsigned long long>(pushed),
                    static_cast<unsigned long long>(popped), static_cast<unsigned long long>(added),
                    static_cast<unsigned long long>(list_.repairs()),
                    static_cast<unsigned long long>(dict_.repairs()));
        BOOST_TEST(kills_ > 0u);
        BOOST_TEST(pushed > 0u);
        BOOST_TEST(added > 0u);
        // One push or pop more for each kill, at most.
        const std::uint64_t left = list_.size();
        BOOST_TEST(left + popped + kills_ >= pushed);
        BOOST_TEST(left + popped <= pushed + kills_);
        for (const std::string& text : list_.copy())
            BOOST_TEST_REQUIRE(whole(text));
        for (const auto& [key, value] : dict_)
            BOOST_TEST_REQUIRE(dict_.get(key).value() == value);
    }

private:
    std::unique_ptr<mp::Process> start(std::size_t i) {
        auto process = std::make_unique<mp::Process>([this, i] { work(i); });
        process->start();
        return process;
    }

    void work(std::size_t worker) {
        Notes& notes = table_->notes[worker];
        const std::string mine = "worker " + std::to_string(worker);
        std::mt19937 random(std::random_device{}());
        while (!table_->stop.load()) {
            switch (random() % 6) {
            case 0:
            case 1: {
                const std::uint64_t n = notes.pushes_begun.fetch_add(1);
                if (random() % 2 == 0)
                    list_.append(element(worker, n));
                else
                    list_.insert(static_cast<std::ptrdiff_t>(random() % 50), element(worker, n));
                notes.pushes_done.fetch_add(1);
                break;
            }
            case 2:
                pop(notes);
                break;
            case 3:
                notes.adds_begun.fetch_add(1);
                dict_.fetch_add(mine, 1);
                notes.adds_done.fetch_add(1);
                break;
            case 4: // keys come and go, so that tables are made anew
                dict_.set("key " + std::to_string(random() % 40), 1);
                dict_.erase("key " + std::to_string(random() % 40));
                break;
            default:
                switch (random() % 50) {
                case 0:
                    list_.sort();
                    break;
                case 1:
                    static_cast<void>(list_.index(element(worker, 1)));
                    break;
                default:
                    pop(notes);
                }
            }
        }
    }

    void pop(Notes& notes) {
        const auto taken = list_.try_pop();
        if (!taken)
            return;
        if (!whole(*taken))
            notes.torn.fetch_add(1);
        notes.pops_done.fetch_add(1);
    }

    mp::List<std::string> list_;
    mp::Dict<std::string, int> dict_;
    SharedTable<Table> table_;
    std::vector<std::unique_ptr<mp::Process>> processes_;
    std::array<std::uint64_t, workers> kills_of_{};
    std::mt19937 random_;
    std::uint64_t kills_ = 0;
};

void storm(const char* name, std::chrono::milliseconds time) {
    multifork::test::storm([&](unsigned seed) {
        Storm raging(seed);
        raging.rage(time);
        raging.settle(name);
    });
}

} // namespace

BOOST_AUTO_TEST_SUITE(kill_storm_containers)

BOOST_AUTO_TEST_CASE(every_change_is_there, *ut::label("fast")) {
    storm("list and dict", 1500ms);
}
BOOST_AUTO_TEST_CASE(every_change_is_there_for_long, *ut::label("full")) {
    storm("list and dict, long", 20s);
}

BOOST_AUTO_TEST_SUITE_END()
