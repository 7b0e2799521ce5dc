#include "crash/objects.hpp"
#include "crash/orphans.hpp"

#include "crash/harness/crash_test.hpp"

#include <multifork/process/process.hpp>

#include <unistd.h>

// A process dies in Process::start(). A daemon that it has started, or half started, dies with it,
// whatever the instruction; a child that is no daemon comes to its own end. The arena is in order.

using namespace multifork;
using namespace multifork::test::crash;

namespace {

Scenario starting(const char* name, bool daemon) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [] { adopt_orphans(); };
    scenario.prepare = [] { const Lock attaches; };
    scenario.operation = [daemon] {
        const auto child = std::make_unique<Process>(ProcessOptions{.daemon = daemon}, [daemon] {
            while (daemon)
                ::pause();
        });
        child->start();
        // Not dropped: that would wait for the child.
        static Process* kept = nullptr;
        kept = new Process(std::move(*child));
        static_cast<void>(kept);
    };
    scenario.check = [](Round&) {
        require(reap_orphans(), "an orphan lives on");
        expect_heap_in_order();
    };
    return scenario;
}

/// What a parent shared with a child that never came to be comes back too, after the ten seconds
/// for which such a child is given the benefit of the doubt (see Heap::is_gone).
void start_and_die(const char* name, bool daemon, unsigned long kills) {
    arena::tree_space().sweep();
    const auto before = arena::arena_usage().blocks_used;
    check(starting(name, daemon), {.kills = kills});
    const std::int64_t until = now_ns() + 10'000'000'000 + hang_limit_ns();
    const auto all_back = [&] {
        arena::tree_space().sweep();
        return arena::arena_usage().blocks_used == before;
    };
    while (!all_back() && now_ns() < until)
        short_pause();
    BOOST_TEST(arena::arena_usage().blocks_used == before, "blocks leak by a death in start()");
}

} // namespace

BOOST_AUTO_TEST_SUITE(process_start)

BOOST_AUTO_TEST_CASE(a_daemon_dies_with_a_parent_that_dies_starting_it, *ut::label("fast")) {
    start_and_die("start a daemon", true, 30);
}
BOOST_AUTO_TEST_CASE(a_child_outlives_a_parent_that_dies_starting_it, *ut::label("fast")) {
    start_and_die("start a child", false, 30);
}
BOOST_AUTO_TEST_CASE(a_daemon_dies_with_a_parent_that_dies_starting_it_at_every_instruction,
                     *ut::label("full") * ut::timeout(900)) {
    start_and_die("start a daemon", true, 0);
}
BOOST_AUTO_TEST_CASE(a_child_outlives_a_parent_that_dies_starting_it_at_every_instruction,
                     *ut::label("full") * ut::timeout(900)) {
    start_and_die("start a child", false, 0);
}

BOOST_AUTO_TEST_SUITE_END()
