#include "crash/harness/crash_test.hpp"
#include "crash/harness/partner.hpp"

#include "liveness/registry.hpp"
#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/arena/space.hpp>

#include <array>
#include <atomic>
#include <cstdint>

#include <sched.h>

// The bell rings for a sleeper that something else has woken a moment before, and which has not run
// yet: no other sleeper hears that bell, so this one must relay it.

using namespace multifork;
using namespace multifork::test::crash;
using mutants::Mutant;

namespace {

/// What a sleeper names beside bell and relay: two rings, or a ring and what tells of a pipe's
/// ends.
using Words = std::array<std::atomic<std::uint32_t>, 2>;

/// Sleeps once. It gives way to whoever wants its core.
std::uint64_t sleep_once(const Words& words) {
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_BATCH, &none);
    liveness::Sleep sleep(arena::tree_space().domain());
    for (const auto& word : words)
        sleep.while_equal(word, 0);
    static_cast<void>(sleep.wait(platform::Deadline::never()));
    return 1;
}

void wake_by_relay(Words&) {
    liveness::relay(arena::tree_space().domain().registry());
}
void wake_by_second_word(Words& words) {
    words[1] = 1;
    platform::futex_wake(words[1], 1);
}

/// How often, of so many times, a sleeper that is woken by both tells the others.
int times_told(int rounds, void wake(Words&)) {
    no_backstop();
    liveness::Registry& registry = arena::tree_space().domain().registry();
    int told = 0;
    for (int i = 0; i < rounds; ++i) {
        stay_on_one_core();
        const auto shared =
            arena::Object::make(sizeof(Words), arena::Kind::value, [](std::byte*) {});
        auto& words = *reinterpret_cast<Words*>(shared.data());
        Partner sleeper([&words] { return sleep_once(words); });
        sleeper.set_out();
        sleeper.await_rest();
        wake(words);
        const std::uint32_t before = registry.relay.load();
        platform::futex_wake(registry.bell.node.word, 1); // as the kernel does
        require(sleeper.await_done(), "the sleeper was not woken");
        told += registry.relay.load() == before + 1 ? 1 : 0;
    }
    return told;
}

void expect_mutant_tells_nobody(void wake(Words&)) {
    mutants::active = Mutant::bell_in_front;
    const int told = times_told(100, wake);
    mutants::active = Mutant::none;
    BOOST_TEST(told == 0);
}

} // namespace

BOOST_AUTO_TEST_SUITE(wake_order)

// Now and then the sleeper may run between the two, and then has not heard the bell.
BOOST_AUTO_TEST_CASE(a_death_is_not_hidden_behind_a_relay, *ut::label("fast")) {
    BOOST_TEST(times_told(20, wake_by_relay) > 0);
}
BOOST_AUTO_TEST_CASE(a_death_is_not_hidden_behind_a_plain_wake_up, *ut::label("fast")) {
    BOOST_TEST(times_told(20, wake_by_second_word) > 0);
}

BOOST_AUTO_TEST_CASE(bell_in_front_is_caught, *ut::label("full")) {
    expect_mutant_tells_nobody(wake_by_relay);
}
BOOST_AUTO_TEST_CASE(bell_in_front_is_caught_by_a_plain_wake_up, *ut::label("full")) {
    expect_mutant_tells_nobody(wake_by_second_word);
}

BOOST_AUTO_TEST_SUITE_END()
