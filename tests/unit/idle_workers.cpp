#include "support/children.hpp"
#include "support/no_backstop.hpp"
#include "support/skip.hpp"
#include "support/task_table.hpp"

#include <multifork/liveness/tuning.hpp>
#include <multifork/sync/event.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>

#include <sched.h>
#include <unistd.h>

namespace mp = multifork;
namespace core = multifork::core;
namespace support = multifork::test;
using support::Table;
using namespace std::chrono_literals;

// Where idle workers lie, and whom of them to wake (lib/core/idle_workers.hpp).

namespace {

cpu_set_t cores_of(pid_t thread) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    BOOST_TEST_REQUIRE(::sched_getaffinity(thread, sizeof cores, &cores) == 0);
    return cores;
}
void stay_on(const cpu_set_t& cores) {
    support::demand(::sched_setaffinity(0, sizeof cores, &cores) == 0);
}
cpu_set_t only(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    return cores;
}

/// The first two cores that this thread may use; nothing where there is one.
std::optional<std::array<int, 2>> two_cores() {
    const cpu_set_t all = cores_of(0);
    std::array<int, 2> found{};
    std::size_t count = 0;
    for (int core = 0; core < CPU_SETSIZE && count < 2; ++core)
        if (CPU_ISSET(core, &all))
            found.at(count++) = core;
    if (count == 2)
        return found;
    support::skip("needs two cores");
    return std::nullopt;
}

/// Where it cannot, all workers sleep on one word, and nobody chooses.
bool kernel_has_waitv() {
    static_cast<void>(mp::Event().wait_for(1ms)); // the first sleep finds it out
    if (mp::liveness::tuning().use_waitv)
        return true;
    support::skip("needs futex_waitv");
    return false;
}

/// Works until the table stops.
std::function<int()> worker(const Table& table, std::uint32_t seat, std::function<void()> first) {
    return [&table, seat, first] {
        first();
        core::seat_take(*table, seat);
        while (const auto slot = core::task_take(*table, seat))
            core::task_done(*table, seat, *slot);
        return 0;
    };
}

void wait_until_it_lies(const Table& table, std::uint32_t seat, pid_t pid) {
    support::wait_until([&] { return table.seat(seat).lies_on.load() != 0; });
    support::wait_until_asleep(pid);
}

/// Which worker does the task that is put into the slot now.
std::uint32_t who_does(const Table& table, std::uint32_t slot) {
    table.put(slot);
    const auto state = [&] { return core::TaskState::of((*table).slot(slot).state.load()); };
    support::wait_until([&] { return state().tag == core::TaskTag::done; });
    return state().seat;
}

void end(const Table& table, support::RawChild& one, support::RawChild& two) {
    core::task_stop(*table);
    BOOST_TEST(one.wait() == 0);
    BOOST_TEST(two.wait() == 0);
}

} // namespace

BOOST_AUTO_TEST_SUITE(idle_workers, *boost::unit_test::fixture<support::NoBackstop>())

BOOST_AUTO_TEST_CASE(two_that_would_fall_asleep_on_one_core_lie_on_two) {
    const auto cores = two_cores();
    if (!cores)
        return;
    const Table table;
    const auto be_on_the_first = [&] {
        cpu_set_t both = only((*cores)[0]);
        stay_on(both);
        CPU_SET((*cores)[1], &both);
        stay_on(both); // which moves nobody
    };
    support::RawChild one(worker(table, 0, be_on_the_first));
    wait_until_it_lies(table, 0, one.pid());
    support::RawChild two(worker(table, 1, be_on_the_first));
    wait_until_it_lies(table, 1, two.pid());
    BOOST_TEST(table.seat(0).lies_on.load() != table.seat(1).lies_on.load());
    for (const pid_t pid : {one.pid(), two.pid()}) {
        const cpu_set_t may_use = cores_of(pid);
        BOOST_TEST(CPU_COUNT(&may_use) == 2);
    }
    static_cast<void>(who_does(table, 0));
    end(table, one, two);
}

BOOST_AUTO_TEST_CASE(who_lies_on_another_core_than_the_waker_is_woken_first) {
    const auto cores = two_cores();
    if (!cores || !kernel_has_waitv())
        return;
    const Table table;
    const cpu_set_t before = cores_of(0);
    support::RawChild one(worker(table, 0, [&] { stay_on(only((*cores)[0])); }));
    support::RawChild two(worker(table, 1, [&] { stay_on(only((*cores)[1])); }));
    for (std::uint32_t slot = 0; slot < 6; ++slot) {
        wait_until_it_lies(table, 0, one.pid());
        wait_until_it_lies(table, 1, two.pid());
        stay_on(only((*cores)[slot % 2]));
        BOOST_TEST(who_does(table, slot) == 1 - slot % 2);
    }
    stay_on(before);
    end(table, one, two);
}

BOOST_AUTO_TEST_CASE(who_has_only_one_core_stays_there) {
    const int core = ::sched_getcpu();
    const Table table;
    const auto stay = [core] { stay_on(only(core)); };
    support::RawChild one(worker(table, 0, stay));
    support::RawChild two(worker(table, 1, stay));
    wait_until_it_lies(table, 0, one.pid());
    wait_until_it_lies(table, 1, two.pid());
    for (const std::uint32_t seat : {0u, 1u})
        BOOST_TEST(table.seat(seat).lies_on.load() == static_cast<std::uint32_t>(core) + 1);
    static_cast<void>(who_does(table, 0));
    end(table, one, two);
}

// Its word says that it lies there, until the parent has reaped it.
BOOST_AUTO_TEST_CASE(a_wake_up_for_one_that_has_died_asleep_goes_to_another) {
    const Table table;
    support::RawChild dead(worker(table, 0, [] {}));
    wait_until_it_lies(table, 0, dead.pid());
    dead.kill();
    BOOST_TEST(dead.wait() == -SIGKILL);
    support::RawChild one(worker(table, 1, [] {}));
    wait_until_it_lies(table, 1, one.pid());
    table.seat(0).lies_on.store(~0u); // where no waker is: it is the first to be tried
    BOOST_TEST(who_does(table, 0) == 1u);
    BOOST_TEST(table.seat(0).lies_on.load() == 0u);
    core::task_stop(*table);
    BOOST_TEST(one.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
