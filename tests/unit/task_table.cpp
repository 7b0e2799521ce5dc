#include <multifork/core/task_table.hpp>

#include "support/children.hpp"
#include "support/no_backstop.hpp"
#include "support/task_table.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/event.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>

namespace mp = multifork;
namespace core = multifork::core;
namespace support = multifork::test;
using support::Table;

// The table of tasks of a pool, with workers that live. (Those that die: tests/crash/task_table.)

BOOST_AUTO_TEST_SUITE(task_table, *boost::unit_test::fixture<support::NoBackstop>())

// The one that was woken is busy for long; so the next task is for the one that sleeps on.
BOOST_AUTO_TEST_CASE(a_task_that_comes_while_one_worker_is_busy_wakes_the_other) {
    const Table table;
    mp::Value<int> taken{0};
    mp::Event go;
    const auto work = [&](std::uint32_t seat) {
        return [&, seat] {
            core::seat_take(*table, seat);
            const auto slot = core::task_take(*table, seat);
            taken.fetch_add(1);
            go.wait();
            core::task_done(*table, seat, slot.value());
            return 0;
        };
    };
    support::RawChild one(work(0));
    support::RawChild two(work(1));
    support::wait_until_asleep(one.pid());
    support::wait_until_asleep(two.pid());
    for (int n = 1; n <= 2; ++n) {
        table.put(static_cast<std::uint32_t>(n));
        support::wait_until([&] { return taken.load() == n; });
    }
    go.set();
    BOOST_TEST(one.wait() == 0);
    BOOST_TEST(two.wait() == 0);
    for (const std::uint32_t slot : {1u, 2u})
        BOOST_TEST(
            (core::TaskState::of((*table).slot(slot).state.load()).tag == core::TaskTag::done));
}

// So that who puts the next task wakes the next worker himself.
BOOST_AUTO_TEST_CASE(the_flag_stays_up_as_long_as_somebody_sleeps) {
    const Table table;
    const auto work = [&](std::uint32_t seat) {
        return [&, seat] {
            core::seat_take(*table, seat);
            while (const auto slot = core::task_take(*table, seat))
                core::task_done(*table, seat, *slot);
            return 0;
        };
    };
    support::RawChild one(work(0));
    support::RawChild two(work(1));
    const auto& idle = (*table).header->idle;
    for (std::uint32_t slot = 0; slot < 8; ++slot) {
        support::wait_until_asleep(one.pid());
        support::wait_until_asleep(two.pid());
        table.put(slot);
        BOOST_TEST(idle.load() != 0u);
    }
    core::task_stop(*table);
    BOOST_TEST(one.wait() == 0);
    BOOST_TEST(two.wait() == 0);
}

BOOST_AUTO_TEST_CASE(the_flag_goes_down_when_nobody_was_there_to_wake) {
    const Table table;
    (*table).header->idle.store(1); // by one who has died, or found a task himself
    table.put(0);
    BOOST_TEST((*table).header->idle.load() == 0u);
}

BOOST_AUTO_TEST_CASE(a_task_that_was_withdrawn_is_taken_by_nobody) {
    const Table table;
    core::seat_take(*table, 0);
    table.put(1);
    table.put(2);
    BOOST_TEST(core::task_withdraw(*table, 1));
    BOOST_TEST(!core::task_withdraw(*table, 1));
    BOOST_TEST((core::task_take(*table, 0) == 2u));
    BOOST_TEST(!core::task_withdraw(*table, 2));
    core::task_done(*table, 0, 2);
    core::task_stop(*table);
    BOOST_TEST(!core::task_take(*table, 0).has_value());
}

BOOST_AUTO_TEST_CASE(an_order_that_is_full_says_so) {
    const Table table;
    core::seat_take(*table, 0);
    for (std::uint32_t slot = 0; slot < 8; ++slot)
        table.put(slot);
    BOOST_TEST(!core::task_put(*table, 0));
    BOOST_TEST((core::task_take(*table, 0) == 0u));
    core::task_done(*table, 0, 0);
    BOOST_TEST(core::task_put(*table, 0));
}

BOOST_AUTO_TEST_SUITE_END()
