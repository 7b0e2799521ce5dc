#include "memory/segment_file.hpp"
#include "platform/system.hpp"

#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/program.hpp"
#include "unit/named_files.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

using Number = mp::Value<int>;
using Texts = mp::Queue<std::string>;

std::string told(const char* key) {
    const char* text = std::getenv(key);
    return text != nullptr ? text : "";
}

// Programs that have nothing to do with this one but a name in their environment.

const support::Program answers{"answers", [] {
                                   auto queue = Texts::open(told("NAME"), 4);
                                   queue.put("hello");
                                   queue.put(std::string(100'000, 'x'));
                                   return 0;
                               }};
const support::Program meets{"meets", [] {
                                 auto met = Number::open_or_create(told("NAME"));
                                 met.fetch_add(1);
                                 const int all = std::atoi(told("MANY").c_str());
                                 support::wait_until([&] { return met.load() >= all; });
                                 return met.load() == all ? 0 : 1;
                             }};
const support::Program adds_one{"adds one", [] {
                                    Number::open(told("NAME")).fetch_add(1);
                                    return 0;
                                }};
/// Has the name open, says so by a second object, and waits for its end, as does a child of it.
const support::Program holds{"holds", []() -> int {
                                 auto held = Number::open_or_create(told("NAME"), 7);
                                 auto lock = mp::Lock::open_or_create(told("NAME") + "-lock");
                                 lock.lock();
                                 if (told("CHILD") == "1" && ::fork() == 0)
                                     for (;;)
                                         ::pause();
                                 Number::open(told("READY")).store(::getpid());
                                 for (;;)
                                     ::pause();
                             }};
std::optional<Number> never_dropped;
const support::Program exits_with_it{"exits with it", [] {
                                         never_dropped.emplace(Number::create(told("NAME")));
                                         return 0;
                                     }};

/// Nothing destroys this one.
const support::Program exits_with_a_leaked_one{"exits with a leaked one", [] {
                                                   static const auto* const leaked =
                                                       new Number(Number::create(told("NAME")));
                                                   return leaked->load() == 0 ? 0 : 1;
                                               }};

/// The program "holds", running; killed at the end.
class Holder {
public:
    explicit Holder(const std::string& name, bool with_child = false) {
        auto ready = Number::create(name + "-ready");
        pid_ = support::start_program(
            "holds",
            {{"NAME", name}, {"READY", name + "-ready"}, {"CHILD", with_child ? "1" : "0"}});
        support::wait_until([&] { return ready.load() != 0; });
    }
    ~Holder() {
        if (pid_ != 0)
            kill();
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void kill() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_ = 0;
};

/// Removes what is a leftover. \return the names
[[nodiscard]] std::set<std::string> stale() {
    const auto removed = mp::arena::remove_stale();
    return {removed.begin(), removed.end()};
}
[[nodiscard]] bool is_stale(const std::string& name) {
    return stale().contains(name);
}

} // namespace

// Names between programs: who has one open keeps the object, and nobody leaves a file behind.
BOOST_AUTO_TEST_SUITE(named_programs)

BOOST_AUTO_TEST_CASE(two_handles_of_a_name_mean_one_object) {
    const std::string name = support::unique_name("one");
    {
        auto made = Number::create(name, 5);
        auto opened = Number::open(name);
        auto other = Number::open_or_create(name, 9);
        opened.fetch_add(1);
        BOOST_TEST(made.load() == 6);
        BOOST_TEST(other.load() == 6);
    }
    {
        auto made = mp::Lock::create(name);
        auto opened = mp::Lock::open(name);
        made.lock();
        BOOST_TEST(!opened.try_lock());
        opened.unlock();
    }
    {
        auto made = mp::Semaphore::create(name, 2);
        auto opened = mp::Semaphore::open_or_create(name, 2);
        made.acquire();
        BOOST_TEST(opened.value() == 1);
    }
    {
        auto made = Texts::open_or_create(name, 4);
        auto opened = Texts::open(name, 4);
        made.put("text");
        BOOST_TEST(opened.get() == "text");
        made.close();
        BOOST_TEST(opened.closed());
    }
}

BOOST_AUTO_TEST_CASE(unrelated_programs_share_by_name) {
    const std::string name = support::unique_name("programs");
    auto queue = Texts::create(name, 4);
    const auto result = support::run_program("answers", {{"NAME", name}});
    BOOST_TEST(result.code == 0, result.err);
    BOOST_TEST(queue.get() == "hello");
    BOOST_TEST(queue.get() == std::string(100'000, 'x'));
}

BOOST_AUTO_TEST_CASE(open_or_create_by_many_programs_at_once_makes_one_object) {
    const std::string name = support::unique_name("meet");
    for (int round = 0; round < support::scaled(5); ++round) {
        const int many = 8;
        std::vector<pid_t> programs;
        for (int i = 0; i < many; ++i)
            programs.push_back(
                support::start_program("meets", {{"NAME", name}, {"MANY", std::to_string(many)}}));
        for (const pid_t pid : programs) {
            int status = 0;
            ::waitpid(pid, &status, 0);
            BOOST_TEST(support::exit_code_of(status) == 0);
        }
        BOOST_TEST(!support::has_file(name));
    }
}

BOOST_AUTO_TEST_CASE(the_file_is_there_for_its_user_alone_and_goes_with_the_last_handle) {
    const std::string name = support::unique_name("file");
    const mode_t mask = ::umask(0);
    std::optional<Number> made(Number::create(name));
    ::umask(0777);
    const auto second = mp::Lock::create(name + "-2"); // whatever the umask
    ::umask(mask);
    for (const std::string& file : {support::file_of(name), support::file_of(name + "-2")}) {
        struct stat status {};
        BOOST_REQUIRE(::stat(file.c_str(), &status) == 0);
        BOOST_TEST((status.st_mode & 07777) == 0600u);
    }
    std::optional<Number> copy(made);
    made.reset();
    BOOST_TEST(support::has_file(name));
    copy.reset();
    BOOST_TEST(!support::has_file(name));
}

BOOST_AUTO_TEST_CASE(remove_takes_the_name_away_and_leaves_the_object) {
    const std::string name = support::unique_name("removed");
    auto first = Number::create(name, 1);
    BOOST_TEST(Number::remove(name));
    BOOST_TEST(!Number::remove(name));
    support::expect_error<mp::NotFound>([&] { Number::open(name); }, {name});
    auto second = Number::create(name, 2);
    BOOST_TEST(first.load() == 1);
    BOOST_TEST(Number::open(name).load() == 2);
    first.store(3);
    BOOST_TEST(second.load() == 2);
}

BOOST_AUTO_TEST_CASE(the_owner_of_a_removed_name_does_not_take_away_the_next_one) {
    const std::string name = support::unique_name("successor");
    std::optional<Number> first(Number::create(name));
    Number::remove(name);
    auto second = Number::create(name);
    first.reset();
    BOOST_TEST(support::has_file(name));
}

BOOST_AUTO_TEST_CASE(an_object_lives_on_with_a_forked_child_alone) {
    const std::string name = support::unique_name("child");
    std::optional<Number> made(Number::create(name, 42));
    auto may_end = Number(0);
    mp::Process child{[&] {
        support::wait_until([&] { return may_end.load() == 1; });
        support::demand(made->load() == 43);
    }};
    child.start();
    made.reset(); // the creator's only handle
    BOOST_TEST(support::has_file(name));
    BOOST_TEST(!is_stale(name));
    support::expect_error<mp::AlreadyExists>([&] { Number::create(name); }, {name});
    const auto result = support::run_program("adds one", {{"NAME", name}});
    BOOST_TEST(result.code == 0, result.err);
    BOOST_TEST(Number::open(name).load() == 43);
    may_end.store(1);
    support::expect_exit(child);
    BOOST_TEST(!support::has_file(name));
}

BOOST_AUTO_TEST_CASE(the_end_of_a_child_leaves_its_parents_objects_in_place) {
    const std::string name = support::unique_name("parent");
    auto made = Number::create(name);
    support::run_in_child([&] { made.store(1); });
    mp::Process killed{[] { std::raise(SIGKILL); }};
    killed.start();
    killed.join();
    BOOST_TEST(support::has_file(name));
    BOOST_TEST(Number::open(name).load() == 1);
}

BOOST_AUTO_TEST_CASE(exit_with_an_open_handle_leaves_nothing) {
    const std::string name = support::unique_name("exit");
    BOOST_TEST(support::run_program("exits with it", {{"NAME", name}}).code == 0);
    BOOST_TEST(!support::has_file(name));
    BOOST_TEST(support::run_program("exits with a leaked one", {{"NAME", name}}).code == 0);
    BOOST_TEST(!support::has_file(name));
}

BOOST_AUTO_TEST_CASE(what_a_stopped_program_has_open_is_no_leftover) {
    const std::string name = support::unique_name("stopped");
    Holder holder(name);
    ::kill(holder.pid(), SIGSTOP);
    support::wait_until([&] { return support::state_of(holder.pid()) == 'T'; });
    BOOST_TEST(!is_stale(name));
    BOOST_TEST(Number::open(name).load() == 7);
    holder.kill();
    static_cast<void>(mp::arena::remove_stale());
}

BOOST_AUTO_TEST_CASE(what_a_killed_program_left_is_gone_at_the_next_open) {
    const support::OwnDirectory directory;
    const std::string name = support::unique_name("killed");
    Holder(name).kill();
    BOOST_TEST(support::has_file(name));
    support::expect_error<mp::NotFound>([&] { Number::open(name); }, {name});
    BOOST_TEST(!support::has_file(name));
    BOOST_TEST(is_stale(name + "-lock"));
}

BOOST_AUTO_TEST_CASE(what_a_killed_program_left_is_made_anew_by_create) {
    const std::string name = support::unique_name("again");
    Holder(name).kill();
    auto fresh = Number::create(name, 1);
    BOOST_TEST(fresh.load() == 1);
    BOOST_TEST(mp::Lock::open_or_create(name + "-lock").try_lock());
}

// Who removes it locks it first, and may be stopped then.
BOOST_AUTO_TEST_CASE(a_leftover_that_somebody_has_locked_is_not_waited_for_long) {
    const support::OwnDirectory directory;
    const std::string name = support::unique_name("locked");
    Holder(name).kill();
    const mp::platform::Descriptor found(
        ::open(support::file_of(name).c_str(), O_RDWR | O_CLOEXEC));
    BOOST_TEST_REQUIRE(::flock(found.get(), LOCK_EX) == 0);
    mp::memory::longest_unnaming_ms = 20;
    auto fresh = Number::create(name, 1);
    BOOST_TEST(fresh.load() == 1);
    BOOST_TEST(Number::open(name).load() == 1);
}

BOOST_AUTO_TEST_CASE(what_a_killed_group_of_processes_left_is_found_by_remove_stale) {
    const support::OwnDirectory directory;
    const std::string name = support::unique_name("group");
    pid_t child = 0;
    {
        Holder holder(name, true);
        std::ifstream children(
            fmt::format("/proc/{0}/task/{0}/children", holder.pid())); // of its one thread
        children >> child;
        BOOST_REQUIRE(child > 0);
    }
    // The child of the killed program still has both objects, and its beacon has none.
    BOOST_TEST(support::runs(child));
    BOOST_TEST(!is_stale(name));
    {
        auto lock = mp::Lock::open(name + "-lock");
        support::expect_error<mp::OwnerDied>([&] { lock.lock(); }, {"owner", "died", "recover()"});
        BOOST_TEST(lock.recover());
    }
    ::kill(child, SIGKILL);
    support::wait_until([&] { return !support::runs(child); });
    // ThreadSanitizer gives it a second thread, which may hold the files a little longer.
    std::set<std::string> found;
    support::wait_until([&] {
        found.merge(stale());
        return found.size() == 2;
    });
    BOOST_TEST((found == std::set{name, name + "-lock"}));
    BOOST_TEST(std::filesystem::is_empty(directory.path()));
}

BOOST_AUTO_TEST_CASE(another_directory_can_be_chosen) {
    const std::string name = support::unique_name("elsewhere");
    const support::OwnDirectory directory;
    {
        auto made = Number::create(name, 3);
        BOOST_TEST(std::filesystem::exists(directory.path() + "/multifork." + name));
        BOOST_TEST(!std::filesystem::exists("/dev/shm/multifork." + name));
        BOOST_TEST(Number::open(name).load() == 3);
    }
    BOOST_TEST(std::filesystem::is_empty(directory.path()));
    std::filesystem::remove(directory.path());
    support::expect_error<mp::Error>([&] { Number::create(name); },
                                     {directory.path(), "No such file"});
}

BOOST_AUTO_TEST_CASE(opening_and_dropping_again_and_again_costs_nothing) {
    const std::string name = support::unique_name("often");
    const auto cycle = [&] {
        auto made = Texts::create(name, 4, 65536);
        made.put("text");
        auto other = std::thread([opened = Texts::open(name, 4, 65536)]() mutable {
            BOOST_TEST_REQUIRE(opened.get() == "text");
        });
        other.join();
    };
    const auto mappings = [] {
        std::ifstream maps("/proc/self/maps");
        const std::string text{std::istreambuf_iterator<char>(maps), {}};
        std::size_t count = 0;
        // Shown as the unnamed file that it was mapped as.
        for (auto at = text.find(" /dev/shm/"); at != text.npos;
             at = text.find(" /dev/shm/", at + 1))
            ++count;
        return count;
    };
    cycle();
    const auto descriptors = support::open_descriptors();
    for (int i = 0; i < support::scaled(1500); ++i)
        cycle();
    BOOST_TEST(support::open_descriptors() == descriptors);
    BOOST_TEST(mappings() <= 1u);
}

BOOST_AUTO_TEST_SUITE_END()
