#include <multifork/multifork.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
using namespace std::chrono_literals;

namespace {

void wait_for(const mp::Value<int>& stage, int wanted) {
    while (stage.load() < wanted)
        std::this_thread::sleep_for(1ms);
}

} // namespace

// Objects that a process has by inheritance live until nobody has them by inheritance any more.
BOOST_AUTO_TEST_SUITE(inherited_handles)

BOOST_AUTO_TEST_CASE(grandchild_keeps_what_its_grandparent_had_dropped_before_it_was_forked) {
    std::optional<mp::Value<long>> dropped(std::in_place, 42);
    mp::Value<int> stage{0};
    mp::Value<long> seen{0};
    mp::Process child{[&] {
        wait_for(stage, 1);
        if (fork() == 0) {
            stage.store(2);
            wait_for(stage, 3);
            seen.store(dropped->load());
            stage.store(4);
            _exit(0);
        }
    }};
    child.start();
    dropped.reset();
    stage.store(1);
    wait_for(stage, 2);
    child.join(); // the grandchild alone has it now
    const auto with_grandchild = mp::arena::arena_usage().blocks_used;
    mp::Value<long> other{-1}; // must not get the same memory
    stage.store(3);
    wait_for(stage, 4);
    BOOST_TEST(seen.load() == 42);
    BOOST_TEST(other.load() == -1);

    // And it is freed once the grandchild has gone.
    const auto freed = [&] {
        mp::arena::tree_space().sweep();
        return mp::arena::arena_usage().blocks_used == with_grandchild; // other came, dropped went
    };
    while (!freed())
        std::this_thread::sleep_for(1ms);
}

BOOST_AUTO_TEST_CASE(objects_of_a_child_do_not_wait_for_its_own_later_children) {
    mp::Value<bool> grew{false};
    mp::Process child{[&] {
        mp::Value<int> go{0};
        mp::Process grandchild{[&] { wait_for(go, 1); }};
        grandchild.start();
        const auto before = mp::arena::arena_usage().blocks_used;
        for (int i = 0; i < 1000; ++i)
            mp::Value<int> made{i};
        grew.store(mp::arena::arena_usage().blocks_used != before);
        go.store(1);
    }};
    child.start();
    child.join();
    BOOST_TEST(!grew.load());
}

BOOST_AUTO_TEST_SUITE_END()
