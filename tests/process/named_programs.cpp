#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/sync/barrier.hpp>
#include <multifork/sync/lock.hpp>

#include "support/children.hpp"
#include "support/leftovers.hpp"
#include "support/program.hpp"
#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// Programs that are not related, and meet by a name. They are started by exec, so that they share
// no arena and no descriptor.

namespace {

std::string name_from_environment() {
    return std::getenv("MEETING");
}

const support::Program counter{
    "named-counter", [] {
        auto lock = mp::Lock::open_or_create(name_from_environment() + "-lock");
        auto value = mp::Value<int>::open_or_create(name_from_environment());
        auto start = mp::Barrier::open_or_create(name_from_environment() + "-start", 3);
        start.arrive_and_wait();
        for (int i = 0; i < 1'000; ++i) {
            const std::scoped_lock hold{lock};
            support::increment_in_two_steps(value);
        }
        return 0;
    }};

const support::Program producer{
    "named-producer", [] {
        auto queue = mp::Queue<std::string>::open_or_create(name_from_environment(), 4);
        for (int i = 0; i < 100; ++i)
            queue.put(std::string(static_cast<std::size_t>(i * 50), 'n'));
        queue.close();
        return 0;
    }};

const support::Program brief{"named-brief", [] {
                                 for (int i = 0; i < 200; ++i) {
                                     auto value =
                                         mp::Value<int>::open_or_create(name_from_environment());
                                     value.fetch_add(1);
                                 }
                                 return 0;
                             }};

const support::Program holder{"named-holder", []() -> int {
                                  auto lock = mp::Lock::open(name_from_environment());
                                  auto held =
                                      mp::Value<int>::open(name_from_environment() + "-held");
                                  lock.lock();
                                  held.store(getpid());
                                  for (;;)
                                      pause();
                                  return 0;
                              }};

int code_of(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return support::exit_code_of(status);
}

} // namespace

BOOST_AUTO_TEST_SUITE(named_programs)

BOOST_AUTO_TEST_CASE(they_share_a_lock_and_a_value) {
    const std::string name = support::unique_name("count");
    auto value = mp::Value<int>::create(name);
    auto lock = mp::Lock::create(name + "-lock");
    std::vector<pid_t> programs;
    for (int i = 0; i < 3; ++i)
        programs.push_back(support::start_program("named-counter", {{"MEETING", name}}));
    for (const pid_t program : programs)
        BOOST_TEST(code_of(program) == 0);
    BOOST_TEST(value.load() == 3'000);
}

BOOST_AUTO_TEST_CASE(they_share_a_queue_of_messages) {
    const std::string name = support::unique_name("messages");
    auto queue = mp::Queue<std::string>::open_or_create(name, 4);
    const pid_t program = support::start_program("named-producer", {{"MEETING", name}});
    std::size_t expected = 0;
    for (const std::string& text : queue)
        BOOST_TEST(text.size() == 50 * expected++);
    BOOST_TEST(expected == 100U);
    BOOST_TEST(code_of(program) == 0);
}

BOOST_AUTO_TEST_CASE(races_of_making_opening_and_dropping) {
    const std::string name = support::unique_name("race");
    std::vector<pid_t> programs;
    for (int i = 0; i < 4; ++i)
        programs.push_back(support::start_program("named-brief", {{"MEETING", name}}));
    for (const pid_t program : programs)
        BOOST_TEST(code_of(program) == 0);
    BOOST_TEST(!std::filesystem::exists("/dev/shm/multifork." + name));
}

BOOST_AUTO_TEST_CASE(the_death_of_a_stranger_is_noticed) {
    const std::string name = support::unique_name("stranger");
    auto lock = mp::Lock::create(name);
    auto held = mp::Value<int>::create(name + "-held");
    const pid_t program = support::start_program("named-holder", {{"MEETING", name}});
    support::wait_until([&] { return held.load() != 0; });
    BOOST_TEST(lock.owner()->pid == program);
    BOOST_TEST(lock.owner()->alive);
    kill(program, SIGKILL);
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
    BOOST_TEST(code_of(program) == -SIGKILL);
}

BOOST_AUTO_TEST_SUITE_END()
