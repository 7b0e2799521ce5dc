#include "crash/array.hpp"
#include "crash/crossing.hpp"
#include "crash/lease_ends.hpp"
#include "crash/leases.hpp"
#include "crash/lock.hpp"
#include "crash/objects.hpp"
#include "crash/pipe.hpp"
#include "crash/queue_get.hpp"
#include "crash/queue_pairs.hpp"
#include "crash/semaphore.hpp"
#include "crash/shareable_list.hpp"
#include "crash/sweep.hpp"
#include "crash/task_table.hpp"
#include "crash/threads.hpp"
#include "crash/value.hpp"
#include "crash/wait.hpp"

#include "crash/harness/crash_test.hpp"

// Does the harness notice anything? Each deliberate mistake of platform/mutant.hpp is switched on
// in the scenario meant for it, which must then fail. (That the same scenarios are clean without
// the mistake is what the other files of this folder test.)

using namespace multifork::test::crash;
using multifork::mutants::Mutant;

namespace {

constexpr Density dense{.kills = 0, .partner_places = 20};

/// Of a long operation.
constexpr Density strided{.kills = 700};

/// Only where A is at its beginning and at its end, and B anywhere.
constexpr Density ends{.kills = 1, .partner_places = 0};

template <class Declared>
void expect_to_catch(Mutant mutant, const Declared& declared, const Density& density = dense) {
    check_mutant(declared, mutant, density);
}

} // namespace

/// The scenario, and how densely if not at every instruction.
#define MULTIFORK_MUTANT_TEST(mutant, ...)                                                         \
    BOOST_AUTO_TEST_CASE(mutant##_is_caught, *ut::label("full") * ut::timeout(300)) {              \
        expect_to_catch(Mutant::mutant, __VA_ARGS__);                                              \
    }

BOOST_AUTO_TEST_SUITE(mutants)

MULTIFORK_MUTANT_TEST(no_bell, put_with_consumers_asleep<Plain>())
MULTIFORK_MUTANT_TEST(no_relay, put_with_a_stranger_asleep<Plain>())
MULTIFORK_MUTANT_TEST(commit_first, put_alone<Plain>())
MULTIFORK_MUTANT_TEST(no_value_check,
                      queue_pairs_scenarios::put_and_get<Plain>(Pair::Order::b_first))
MULTIFORK_MUTANT_TEST(no_recompute, semaphore_scenarios::release_with_sleepers())
MULTIFORK_MUTANT_TEST(no_keep_waiters, lock_scenarios::woken_waiter())
MULTIFORK_MUTANT_TEST(torn_update, value_scenarios::alone<value_scenarios::Five>())
MULTIFORK_MUTANT_TEST(no_block_repair, put_alone<Long>())
MULTIFORK_MUTANT_TEST(no_heap_rebuild, make_and_drop_a_lock())
MULTIFORK_MUTANT_TEST(publish_early, attach_alone())
MULTIFORK_MUTANT_TEST(silent_return, wait_for_who_comes_back(), ends)
MULTIFORK_MUTANT_TEST(no_sweep, make_and_drop_a_queue())
MULTIFORK_MUTANT_TEST(any_position, get_with_producers_asleep<Long>())
MULTIFORK_MUTANT_TEST(give_first, put_alone<Long>())
MULTIFORK_MUTANT_TEST(silent_end, pipe_scenarios::the_last_writer_closes<Plain>(true))
MULTIFORK_MUTANT_TEST(keep_wake_up, wait_scenarios::wait_woken())
MULTIFORK_MUTANT_TEST(blind_end, pipe_scenarios::death_and_recv())
MULTIFORK_MUTANT_TEST(unseen_change, pipe_scenarios::close_and_recv(Pair::Order::b_first, true),
                      ends)
MULTIFORK_MUTANT_TEST(unseen_traveller, pipe_scenarios::an_end_is_adopted_unseen())
MULTIFORK_MUTANT_TEST(wake_no_leftover, detach_to_a_successor(true))
MULTIFORK_MUTANT_TEST(keep_debt, get_woken_beside_a_second_item<Plain>())
MULTIFORK_MUTANT_TEST(tell_nobody, lock_scenarios::woken_waiter_and_barger_that_leaves(), ends)
MULTIFORK_MUTANT_TEST(one_look, sweep_while_a_queue_gets_a_block(), ends)
MULTIFORK_MUTANT_TEST(divide_forward, join_free_blocks(), strided)
MULTIFORK_MUTANT_TEST(top_first, carve_a_block())
MULTIFORK_MUTANT_TEST(size_first, array_scenarios::resize_alone())
MULTIFORK_MUTANT_TEST(list_in_place, list_scenarios::set_alone())
MULTIFORK_MUTANT_TEST(lease_first, lease_scenarios::put_alone<Plain>())
MULTIFORK_MUTANT_TEST(no_lease_rebuild, lease_scenarios::task_done_alone<Long>())
MULTIFORK_MUTANT_TEST(no_redelivery, lease_scenarios::get_with_a_worker_that_comes<Plain>())
MULTIFORK_MUTANT_TEST(count_tries_late, lease_scenarios::redelivery<Plain>())
MULTIFORK_MUTANT_TEST(keep_orphans, crossing_scenarios::take_a_parcel())
MULTIFORK_MUTANT_TEST(ring_first, task_scenarios::alone())
MULTIFORK_MUTANT_TEST(free_before_done, lease_scenarios::task_done_alone<Long>())

BOOST_AUTO_TEST_SUITE_END()
