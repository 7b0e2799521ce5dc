#include "crash/lock.hpp"
#include "crash/queue_pairs.hpp"
#include "crash/semaphore.hpp"

#include "crash/harness/crash_test.hpp"

// The other tests of this folder send every waiter straight to sleep. Here they look out first, as
// they do for users: a kill may strike between two looks, and a waiter may get what it waits for
// without having slept.

using namespace multifork::test::crash;
using Order = Pair::Order;

namespace {

constexpr unsigned spins = 3; // the looks are all the same

} // namespace

#define MULTIFORK_SPIN_TEST(name, ...)                                                             \
    BOOST_AUTO_TEST_CASE(name, *ut::label("fast")) {                                               \
        const auto declared = __VA_ARGS__;                                                         \
        check(declared, density_of(declared, false), spins);                                       \
    }                                                                                              \
    BOOST_AUTO_TEST_CASE(name##_at_every_instruction, *ut::label("full") * ut::timeout(900)) {     \
        const auto declared = __VA_ARGS__;                                                         \
        check(declared, density_of(declared, true), spins);                                        \
    }

BOOST_AUTO_TEST_SUITE(spinning)

MULTIFORK_SPIN_TEST(a_locker_dies_looking_out, lock_scenarios::going_to_sleep())
MULTIFORK_SPIN_TEST(a_woken_locker_dies, lock_scenarios::woken_waiter())
MULTIFORK_SPIN_TEST(two_lockers, lock_scenarios::two_lockers(Order::b_first))
MULTIFORK_SPIN_TEST(an_acquirer_dies_looking_out, semaphore_scenarios::going_to_sleep())
MULTIFORK_SPIN_TEST(a_consumer_dies_looking_out, get_going_to_sleep<Plain>())
MULTIFORK_SPIN_TEST(a_woken_consumer_dies, get_woken<Plain>())
MULTIFORK_SPIN_TEST(a_producer_dies_beside_a_consumer,
                    queue_pairs_scenarios::put_and_get<Plain>(Order::b_first))
MULTIFORK_SPIN_TEST(a_consumer_dies_beside_a_producer,
                    queue_pairs_scenarios::get_and_put<Plain>(Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
