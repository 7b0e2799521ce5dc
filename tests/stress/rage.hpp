#pragma once

#include <multifork/liveness/tuning.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace multifork::test {

inline constexpr std::size_t rage_workers = 5;

/// Has so many processes work, kills one of them every millisecond or two, and starts another.
/// \param work    returns soon after `stop` is set; gets the worker's place
/// \param at_end  wakes those that sleep, when `stop` is set
/// \return the number of kills
inline std::uint64_t rage(
    std::atomic<bool>& stop, const std::function<void(std::size_t)>& work,
    std::chrono::milliseconds time, const std::function<void()>& at_end = [] {}) {
    liveness::tuning().tick_ns = 0;
    std::minstd_rand random(std::random_device{}());
    std::vector<std::unique_ptr<Process>> workers(rage_workers);
    const auto start = [&](std::size_t place) {
        workers[place] = std::make_unique<Process>([&work, place] { work(place); });
        workers[place]->start();
    };
    for (std::size_t place = 0; place < rage_workers; ++place)
        start(place);
    std::uint64_t kills = 0;
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        const std::size_t place = random() % rage_workers;
        workers[place]->kill();
        workers[place]->join();
        ++kills;
        start(place);
    }
    stop = true;
    at_end();
    for (auto& worker : workers) {
        worker->join();
        BOOST_TEST(worker->exitcode().value() == 0);
    }
    return kills;
}

} // namespace multifork::test
