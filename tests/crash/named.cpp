#include "crash/harness/crash_test.hpp"
#include "crash/harness/partner.hpp"
#include "memory/segment_file.hpp"
#include "support/children.hpp"
#include "support/leftovers.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/error.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

// A process dies while it creates, opens or drops a named object, and another one opens the same
// name all the while. It sees the whole object or none, and when everybody has gone no file is
// left.

using namespace multifork;
using namespace multifork::test;
using namespace multifork::test::crash;

namespace {

using Numbers = Queue<std::uint64_t>;
constexpr std::size_t capacity = 4;

struct World {
    std::string name = unique_name("crash");
    std::unique_ptr<Partner> opener;
    std::atomic<bool>* stop = nullptr; // shared with the opener

    World() {
        void* const page =
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        require(page != MAP_FAILED, "no page");
        stop = new (page) std::atomic<bool>(false);
    }
    ~World() { ::munmap(static_cast<void*>(stop), 4096); }

    [[nodiscard]] bool file_exists() const {
        return ::access(("/dev/shm/multifork." + name).c_str(), F_OK) == 0;
    }
};
using Shared = std::shared_ptr<World>;

/// Opens until it is stopped. Anything but a whole object or NotFound leaves it as an exception.
std::uint64_t keep_opening(World& world) {
    std::uint64_t found = 0;
    while (!*world.stop) {
        try {
            const Numbers queue = Numbers::open(world.name, capacity);
            require(queue.size() <= 1, "the opened queue has items that nobody put");
            ++found;
        } catch (const NotFound&) {
        }
    }
    return found;
}

Scenario naming(const Shared& world, const char* name, bool with_opener) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world, with_opener] {
        *world->stop = false;
        world->opener.reset();
        if (with_opener) {
            world->opener = std::make_unique<Partner>([world] { return keep_opening(*world); });
            world->opener->set_out();
        }
    };
    scenario.check = [world](Round&) {
        *world->stop = true;
        if (world->opener) {
            require(world->opener->await_done(), "the opener hangs");
            static_cast<void>(world->opener->result()); // throws what it met
        }
        // Others who clean up may be at it, and then it is theirs to remove.
        const auto goes = [&] {
            static_cast<void>(arena::remove_stale());
            return !world->file_exists();
        };
        require(await(goes), "a file is left in /dev/shm");
        // The name can be used again, and the object works.
        Numbers queue = Numbers::create(world->name, capacity);
        queue.put(5);
        require(queue.get() == 5, "a new object of the same name does not work");
    };
    return scenario;
}

Scenario create_use_drop(bool with_opener) {
    const auto world = std::make_shared<World>();
    Scenario scenario = naming(
        world, with_opener ? "create, put, drop; another opens" : "create, put, drop", with_opener);
    scenario.operation = [world] {
        Numbers queue = Numbers::open_or_create(world->name, capacity);
        static_cast<void>(queue.try_put(1));
    };
    return scenario;
}

/// The test has it open: it must stay, and work, whatever becomes of the other.
Scenario open_use_drop() {
    const auto world = std::make_shared<World>();
    const auto held = std::make_shared<std::optional<Numbers>>();
    Scenario scenario = naming(world, "open, put, get, drop; the test holds it", false);
    scenario.set_up = [world, held] { held->emplace(Numbers::create(world->name, capacity)); };
    scenario.operation = [world] {
        Numbers queue = Numbers::open(world->name, capacity);
        queue.put(1);
        static_cast<void>(queue.get());
    };
    scenario.check = [world, held, then = scenario.check](Round& round) {
        require(world->file_exists(), "the file of an object in use is gone");
        Numbers& queue = **held;
        const auto limit = std::chrono::nanoseconds(hang_limit_ns());
        require(queue.size() <= 1, "items that nobody put");
        require(queue.try_put_for(2, limit), "put() hangs behind the dead");
        auto got = queue.try_get_for(limit);
        if (got == std::uint64_t{1})
            got = queue.try_get_for(limit);
        require(got == std::uint64_t{2}, "the queue is damaged");
        held->reset();
        then(round);
    };
    return scenario;
}

/// One finds a leftover, and stands anywhere in taking it away; the name is removed and given anew
/// meanwhile. The new file keeps it. \return at how many places the one stood
int give_a_name_anew_beside_a_finder() {
    memory::longest_unnaming_ms = 600'000; // however long the finder stands
    const std::string name = unique_name("anew");
    const std::string path = "/dev/shm/multifork." + name;
    constexpr std::uint64_t no_magic = 0; // such a file begins with zeros
    const auto publish = [&] { return memory::NewSegmentFile(name, 4096).publish(); };
    Path way;
    int places = 0;
    for (unsigned long k = 1;; ++k) {
        stay_on_one_core();
        require(publish().has_value(), "the last round has left its file"); // which nobody holds
        Victim finder({}, [&] { static_cast<void>(memory::SegmentFile::open(name, no_magic)); });
        static_cast<void>(finder.go(k, way));
        const platform::Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        if (!file)
            return places;                                 // it has taken the leftover away
        if (::flock(file.get(), LOCK_SH | LOCK_NB) == 0) { // it has not come to that
            ::unlink(path.c_str());
            continue;
        }
        ++places;
        std::optional<memory::SegmentFile> anew;
        std::atomic<pid_t> thread{0};
        std::atomic<bool> done{false};
        std::thread other([&] {
            thread = ::gettid();
            static_cast<void>(memory::SegmentFile::remove(name));
            anew = publish();
            done = true;
        });
        static_cast<void>(await([&] { return done || (thread != 0 && state_of(thread) == 'S'); }));
        const bool ended = finder.finish();
        other.join();
        require(ended, "who finds a leftover hangs");
        require(anew.has_value(), "the name was removed, and is taken");
        struct stat named {};
        require(::stat(path.c_str(), &named) == 0 && named.st_ino == anew->id().inode,
                "a file that somebody has open lost its name");
        finder.kill();
        anew->close_and_remove_if_last();
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(named)

BOOST_AUTO_TEST_CASE(nobody_sees_half_an_object, *ut::label("fast")) {
    check(create_use_drop(true), {.kills = 30});
}
BOOST_AUTO_TEST_CASE(a_dead_creator_leaves_no_file, *ut::label("fast")) {
    check(create_use_drop(false), {.kills = 30});
}
BOOST_AUTO_TEST_CASE(a_dead_opener_disturbs_nobody, *ut::label("fast")) {
    check(open_use_drop(), {.kills = 30});
}
BOOST_AUTO_TEST_CASE(who_takes_a_leftover_away_leaves_a_new_file_its_name, *ut::label("fast")) {
    BOOST_TEST(give_a_name_anew_beside_a_finder() > 10);
}
BOOST_AUTO_TEST_CASE(nobody_sees_half_an_object_densely, *ut::label("full") * ut::timeout(900)) {
    check(create_use_drop(true), {.kills = 600});
}
BOOST_AUTO_TEST_CASE(a_dead_creator_leaves_no_file_densely, *ut::label("full") * ut::timeout(900)) {
    check(create_use_drop(false), {.kills = 600});
}
BOOST_AUTO_TEST_CASE(a_dead_opener_disturbs_nobody_densely, *ut::label("full") * ut::timeout(900)) {
    check(open_use_drop(), {.kills = 600});
}

BOOST_AUTO_TEST_SUITE_END()
