#include "crash/harness/crash_test.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/bounded_semaphore.hpp>

#include <memory>
#include <optional>

// The algorithm is that of the Semaphore (semaphore.hpp); here, that no death lets a release too
// many pass, and none makes a proper one fail.

using namespace multifork;
using namespace multifork::test::crash;

namespace {

struct World {
    std::optional<BoundedSemaphore> semaphore;
};

bool release_is_refused(BoundedSemaphore& semaphore) {
    try {
        semaphore.release();
        return false;
    } catch (const InvalidArgument&) {
        return true;
    }
}

Scenario using_permits(const char* name, const Action& prepare_more, const Action& operation,
                       const std::shared_ptr<World>& world) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->semaphore.emplace(2); };
    scenario.prepare = [world, prepare_more] {
        static_cast<void>(world->semaphore->value());
        prepare_more();
    };
    scenario.operation = operation;
    scenario.check = [world](Round& round) {
        round.expect_all_done("a waiter sleeps on beside a permit");
        require(release_is_refused(*world->semaphore), "a release too many was let pass");
        const auto limit = std::chrono::nanoseconds(hang_limit_ns());
        for (int i = 0; i < 2; ++i)
            require(world->semaphore->try_acquire_for(limit), "a permit is lost");
        require(!world->semaphore->try_acquire(), "a permit was doubled");
        for (int i = 0; i < 2; ++i)
            require(!release_is_refused(*world->semaphore), "a proper release was refused");
    };
    scenario.state = [world] { return world->semaphore->to_string(); };
    return scenario;
}

Scenario acquire_and_release() {
    const auto world = std::make_shared<World>();
    return using_permits(
        "bounded semaphore: acquire and release", [] {},
        [world] {
            world->semaphore->acquire();
            world->semaphore->release();
        },
        world);
}

Scenario release_of_two() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_permits(
        "bounded semaphore: release(2), one asleep", [] {},
        [world] { world->semaphore->release(2); }, world);
    scenario.prepare = [world] {
        world->semaphore->acquire();
        world->semaphore->acquire();
    };
    scenario.early = {[world] {
        world->semaphore->acquire();
        world->semaphore->release();
        return std::uint64_t{1};
    }};
    return scenario;
}

} // namespace

BOOST_AUTO_TEST_SUITE(bounded_semaphore)

MULTIFORK_CRASH_TEST(no_death_moves_the_bound, acquire_and_release())
MULTIFORK_CRASH_TEST(a_dead_releaser_of_two_leaves_two, release_of_two())

BOOST_AUTO_TEST_SUITE_END()
