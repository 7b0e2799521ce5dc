#include <multifork/pool/executor.hpp>
#include <multifork/pool/wait.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"
#include "support/threads.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

// Rows E of the table that are about executors of threads, and about the end of a program.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

std::vector<int> numbers(int first, int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), first);
    return all;
}
template <class Results>
std::vector<int> all_of(Results&& results) {
    std::vector<int> all;
    for (const int result : results)
        all.push_back(result);
    return all;
}
int absolute(int n) {
    return std::abs(n);
}
const std::vector<int> absolutes{5, 4, 3, 2, 1, 0, 1, 2, 3, 4};

std::vector<std::string> names(const mp::ThreadPoolExecutor& executor) {
    std::vector<std::string> all;
    for (const mp::PoolThread& thread : executor.threads())
        all.push_back(thread.name);
    std::sort(all.begin(), all.end());
    return all;
}
/// Five tasks that wait for each other: as many threads.
void use_five(mp::ThreadPoolExecutor& executor) {
    std::counting_semaphore<> gate{0};
    std::vector<mp::Future<void>> tasks;
    for (int i = 0; i < 5; ++i)
        tasks.push_back(executor.submit([&gate] { gate.acquire(); }));
    BOOST_TEST(executor.threads().size() == 5u);
    gate.release(5);
    for (const auto& task : tasks)
        task.get();
}

// ---- programs

/// Tries to submit when static objects are destroyed.
struct AtTheEnd {
    mp::ThreadPoolExecutor* threads = nullptr;
    mp::ProcessPoolExecutor* processes = nullptr;
    mp::ProcessPoolExecutor* unused = nullptr;
    ~AtTheEnd() {
        for (const auto& submit :
             {std::function([this] { static_cast<void>(threads->submit(absolute, 1)); }),
              std::function([this] { static_cast<void>(processes->submit(absolute, 1)); }),
              std::function([this] { static_cast<void>(unused->submit(absolute, 1)); })}) {
            try {
                submit();
                std::puts("accepted");
            } catch (const mp::InvalidState& error) {
                std::puts(error.what());
            }
        }
    }
};
const support::Program submits_late{"submits_late", [] {
                                        static AtTheEnd at_the_end;
                                        at_the_end.threads = new mp::ThreadPoolExecutor(2);
                                        at_the_end.processes = new mp::ProcessPoolExecutor(2);
                                        at_the_end.unused = new mp::ProcessPoolExecutor(2);
                                        const int zero =
                                            at_the_end.processes->submit(absolute, 0).get();
                                        static_cast<void>(at_the_end.threads->submit(absolute, 1));
                                        return zero;
                                    }};

const support::Program shuts_and_returns{"shuts_and_returns", [] {
                                             static std::counting_semaphore<> gate{0};
                                             static mp::ThreadPoolExecutor executor{1};
                                             for (int i = 0; i < 2; ++i)
                                                 static_cast<void>(executor.submit([] {
                                                     gate.acquire();
                                                     std::puts("apple");
                                                 }));
                                             executor.shutdown(false, true);
                                             gate.release(2);
                                             return 0;
                                         }};

} // namespace

BOOST_AUTO_TEST_SUITE(executor_threads)

BOOST_AUTO_TEST_CASE(E_078_submit_when_the_program_ends) {
    const support::ProgramResult result = support::run_program("submits_late");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
    std::size_t refused = 0;
    for (std::size_t at = 0; (at = result.out.find("program is ending", at)) != std::string::npos;
         ++at)
        ++refused;
    BOOST_TEST(refused == 3u, result.out);
    BOOST_TEST(result.out.find("accepted") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(E_083_threads_on_demand_and_their_end) {
    std::counting_semaphore<> gate{0};
    mp::ThreadPoolExecutor executor{5};
    for (int i = 0; i < 3; ++i)
        static_cast<void>(executor.submit([&gate] { gate.acquire(); }));
    BOOST_TEST(executor.threads().size() == 3u);
    gate.release(3);
    executor.shutdown();
    BOOST_TEST(executor.threads().empty());
}

BOOST_AUTO_TEST_CASE(E_084_the_end_of_the_scope) {
    const std::size_t before = support::own_threads();
    {
        mp::ThreadPoolExecutor executor{5};
        BOOST_TEST((all_of(executor.map(absolute, numbers(-5, 10))) == absolutes));
    }
    BOOST_TEST(support::own_threads() == before);
}

BOOST_AUTO_TEST_CASE(E_085_the_destructor_lets_all_be_done) {
    const std::size_t before = support::own_threads();
    auto executor = std::make_unique<mp::ThreadPoolExecutor>(5);
    auto results = executor->map(absolute, numbers(-5, 10));
    executor.reset();
    BOOST_TEST(support::own_threads() == before);
    BOOST_TEST((all_of(results) == absolutes));
}

BOOST_AUTO_TEST_CASE(E_086_shutdown_without_waiting) {
    const std::size_t before = support::own_threads();
    auto executor = std::make_unique<mp::ThreadPoolExecutor>(5);
    auto results = executor->map(absolute, numbers(-5, 10));
    executor->shutdown(false);
    executor.reset();
    BOOST_TEST((all_of(results) == absolutes));
    support::wait_until([&] { return support::own_threads() == before; });
}

BOOST_AUTO_TEST_CASE(E_087_names_of_threads) {
    mp::ThreadPoolExecutor executor{5, {.thread_name_prefix = "SpecialPool"}};
    use_five(executor);
    BOOST_TEST((names(executor) == std::vector<std::string>{"SpecialPool_0", "SpecialPool_1",
                                                            "SpecialPool_2", "SpecialPool_3",
                                                            "SpecialPool_4"}));
}

BOOST_AUTO_TEST_CASE(E_088_default_names_of_threads) {
    mp::ThreadPoolExecutor one{5};
    mp::ThreadPoolExecutor other{5};
    use_five(one);
    use_five(other);
    const std::string prefix = names(one)[0].substr(0, names(one)[0].size() - 1);
    BOOST_TEST(prefix.starts_with("ThreadPoolExecutor-"), prefix);
    for (int i = 0; i < 5; ++i)
        BOOST_TEST(names(one)[static_cast<std::size_t>(i)] == prefix + std::to_string(i));
    BOOST_TEST(!names(other)[0].starts_with(prefix));
}

BOOST_AUTO_TEST_CASE(E_089_return_from_main_after_a_shutdown) {
    const support::ProgramResult result = support::run_program("shuts_and_returns");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
    BOOST_TEST((result.out.empty() || result.out == "apple\n"), result.out);
}

BOOST_AUTO_TEST_CASE(E_094_map_submits_at_once) {
    std::atomic<int> done = 0;
    mp::ThreadPoolExecutor executor{2};
    executor.map([&done](int) { ++done; }, numbers(0, 10));
    executor.shutdown();
    BOOST_TEST(done.load() == 10);
}

BOOST_AUTO_TEST_CASE(E_095_default_number_of_threads) {
    const mp::ThreadPoolExecutor executor;
    BOOST_TEST(executor.max_workers() == std::min<std::int64_t>(32, mp::cpu_count() + 4));
}

BOOST_AUTO_TEST_CASE(E_096_saturation) {
    std::counting_semaphore<> gate{0};
    mp::ThreadPoolExecutor executor{4};
    std::vector<mp::Future<void>> tasks;
    for (int i = 0; i < 60; ++i)
        tasks.push_back(executor.submit([&gate] { gate.acquire(); }));
    BOOST_TEST(executor.threads().size() == 4u);
    gate.release(60);
    executor.shutdown();
    for (const auto& task : tasks)
        BOOST_TEST(task.ready());
}

BOOST_AUTO_TEST_CASE(E_097_an_idle_thread_is_used_again) {
    mp::ThreadPoolExecutor executor{4};
    for (int i = 0; i < 3; ++i)
        executor.submit(absolute, i).wait();
    BOOST_TEST(executor.threads().size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
