#include "crash/harness/crash_test.hpp"
#include "crash/harness/partner.hpp"

#include "liveness/registry.hpp"
#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/arena/space.hpp>

#include <sched.h>

// The bell rings for a sleeper that the relay has woken a moment before, and which has not run yet:
// no other sleeper hears that bell, so this one must relay it.

using namespace multifork;
using namespace multifork::test::crash;
using mutants::Mutant;

namespace {

/// Sleeps once. It gives way to whoever wants its core.
std::uint64_t sleep_once() {
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_IDLE, &none);
    liveness::Sleep sleep(arena::tree_space().domain());
    static const std::atomic<std::uint32_t> word{0};
    sleep.while_equal(word, 0);
    static_cast<void>(sleep.wait(platform::Deadline::never()));
    return 1;
}

/// How often, of so many times, a sleeper that is woken by both tells the others.
int times_told(int rounds) {
    no_backstop();
    liveness::Registry& registry = arena::tree_space().domain().registry();
    int told = 0;
    for (int i = 0; i < rounds; ++i) {
        stay_on_one_core();
        Partner sleeper(sleep_once);
        sleeper.set_out();
        sleeper.await_rest();
        const std::uint32_t before = registry.relay.load();
        registry.relay.fetch_add(1);
        platform::futex_wake(registry.relay, platform::wake_everybody);
        platform::futex_wake(registry.bell.node.word, 1); // as the kernel does
        require(sleeper.await_done(), "the sleeper was not woken");
        told += registry.relay.load() == before + 2 ? 1 : 0;
    }
    return told;
}

} // namespace

BOOST_AUTO_TEST_SUITE(wake_order)

// Now and then the sleeper may run between the two, and then has not heard the bell.
BOOST_AUTO_TEST_CASE(a_death_is_not_hidden_behind_a_relay, *ut::label("fast")) {
    BOOST_TEST(times_told(20) > 0);
}

BOOST_AUTO_TEST_CASE(bell_in_front_is_caught, *ut::label("full")) {
    mutants::active = Mutant::bell_in_front;
    const int told = times_told(100);
    mutants::active = Mutant::none;
    BOOST_TEST(told == 0);
}

BOOST_AUTO_TEST_SUITE_END()
