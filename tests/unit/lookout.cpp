#include <multifork/channel/queue.hpp>
#include <multifork/channel/waitable.hpp>

#include "liveness/registry.hpp"
#include "support/children.hpp"

#include <multifork/arena/space.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// The thread that watches for a Readiness has no slot: it shows everything, now and again, so that
// whoever waits finds out for himself.

namespace {

/// All slots of the arena but those in use, until it goes.
class NoSlotLeft {
public:
    NoSlotLeft() : registry_(mp::arena::tree_space().domain().registry()) {
        const auto word = static_cast<std::uint32_t>(::gettid()) | mp::platform::futex_waiters;
        for (std::uint32_t slot = 0; slot < mp::arena::tree_space().domain().capacity(); ++slot) {
            auto& beacon = registry_.beacons()[slot].node.word;
            if (beacon.load() != 0)
                continue;
            beacon = word;
            taken_.push_back(slot);
        }
    }
    ~NoSlotLeft() {
        for (const std::uint32_t slot : taken_)
            registry_.beacons()[slot].node.word = 0;
    }
    NoSlotLeft(const NoSlotLeft&) = delete;
    NoSlotLeft& operator=(const NoSlotLeft&) = delete;

private:
    mp::liveness::Registry& registry_;
    std::vector<std::uint32_t> taken_;
};

bool readable(int fd, int milliseconds) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, milliseconds) == 1;
}

/// What /proc says of the thread that watches: how often it went to sleep by itself.
long sleeps_of_the_watcher() {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream status(task.path() / "status");
        std::string line;
        std::getline(status, line);
        if (line.find("multifork-watch") == std::string::npos)
            continue;
        long count = 0;
        while (std::getline(status, line))
            if (std::sscanf(line.c_str(), "voluntary_ctxt_switches: %ld", &count) == 1)
                return count;
    }
    return 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(lookout)

BOOST_AUTO_TEST_CASE(a_watcher_without_a_slot_shows_everything_and_sleeps_in_between) {
    mp::Queue<int> queue{4};
    queue.put(1);
    BOOST_TEST(queue.get() == 1); // this thread has its slot
    {
        const NoSlotLeft none;
        mp::Readiness ready{queue};
        BOOST_TEST(readable(ready.fd(), 20'000));
        // There was nothing; it cannot know.
        ready.rearm();
        BOOST_TEST(readable(ready.fd(), 20'000));
        // It looks again every 10 ms, and does not burn a core meanwhile.
        const long before = sleeps_of_the_watcher();
        support::wait_until([&] { return sleeps_of_the_watcher() >= before + 5; });
    }
    mp::Readiness ready{queue};
    support::wait_until([&] { // as soon as it has got a slot
        ready.rearm();
        return !readable(ready.fd(), 50);
    });
    queue.put(2);
    BOOST_TEST(readable(ready.fd(), 20'000));
}

BOOST_AUTO_TEST_SUITE_END()
