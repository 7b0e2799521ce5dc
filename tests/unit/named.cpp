#include <multifork/arena/object.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include <sys/stat.h>

namespace mp = multifork;
namespace support = multifork::test;

BOOST_AUTO_TEST_SUITE(named)

BOOST_AUTO_TEST_CASE(create_then_open_means_the_same_object) {
    const std::string name = support::unique_name("pair");
    auto made = mp::Queue<int>::create(name, 4);
    auto opened = mp::Queue<int>::open(name, 4);
    auto again = mp::Queue<int>::open_or_create(name, 4);
    made.put(1);
    opened.put(2);
    BOOST_TEST(again.get() == 1);
    BOOST_TEST(made.get() == 2);
}

BOOST_AUTO_TEST_CASE(each_type_can_be_named) {
    const std::string name = support::unique_name("each");
    {
        auto lock = mp::Lock::create(name + "-l");
        const std::scoped_lock hold{lock};
        BOOST_TEST(!mp::Lock::open(name + "-l").try_lock());
        BOOST_TEST(lock.owner()->pid == getpid());
        auto permits = mp::Semaphore::create(name + "-s", 3);
        permits.acquire();
        BOOST_TEST(mp::Semaphore::open(name + "-s", 3).value() == 2);
        auto value = mp::Value<double>::create(name + "-v", 2.5);
        BOOST_TEST(mp::Value<double>::open(name + "-v").load() == 2.5);
        BOOST_TEST(mp::Value<double>::open_or_create(name + "-v", 9).load() == 2.5);
        auto texts = mp::Queue<std::string>::create(name + "-q", 2);
        texts.put(std::string(100'000, 'x'));
        BOOST_TEST(mp::Queue<std::string>::open(name + "-q", 2).get().size() == 100'000U);
    }
    for (const char* type : {"-l", "-s", "-v", "-q"})
        BOOST_TEST(!std::filesystem::exists(support::file_of(name + type)));
}

BOOST_AUTO_TEST_CASE(the_file_is_private_and_goes_with_the_last_handle) {
    const std::string name = support::unique_name("file");
    std::optional<mp::Value<int>> first = mp::Value<int>::create(name);
    std::optional<mp::Value<int>> second = mp::Value<int>::open(name);
    struct stat status {};
    BOOST_TEST(stat(support::file_of(name).c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0600U);
    first.reset();
    BOOST_TEST(std::filesystem::exists(support::file_of(name)));
    second.reset();
    BOOST_TEST(!std::filesystem::exists(support::file_of(name)));
}

BOOST_AUTO_TEST_CASE(the_mode_does_not_depend_on_the_umask) {
    const std::string name = support::unique_name("umask");
    const mode_t before = umask(0);
    const auto open_to_all = mp::Value<int>::create(name + "-a");
    umask(0777);
    const auto closed_to_all = mp::Value<int>::create(name + "-b");
    umask(before);
    for (const char* which : {"-a", "-b"}) {
        struct stat status {};
        BOOST_TEST(stat(support::file_of(name + which).c_str(), &status) == 0);
        BOOST_TEST((status.st_mode & 0777) == 0600U);
    }
    BOOST_TEST(mp::Value<int>::open(name + "-b").load() == 0);
}

BOOST_AUTO_TEST_CASE(open_of_nothing_and_create_of_something_are_told) {
    const std::string name = support::unique_name("nothing");
    support::expect_error<mp::NotFound>([&] { static_cast<void>(mp::Queue<int>::open(name, 4)); },
                                        {name, "create"});
    const auto made = mp::Queue<int>::create(name, 4);
    support::expect_error<mp::AlreadyExists>(
        [&] { static_cast<void>(mp::Queue<int>::create(name, 4)); }, {name, "open"});
}

BOOST_AUTO_TEST_CASE(remove_takes_the_name_but_not_the_object) {
    const std::string name = support::unique_name("remove");
    BOOST_TEST(!mp::Value<int>::remove(name));
    auto old = mp::Value<int>::create(name, 1);
    auto same = mp::Value<int>::open(name);
    BOOST_TEST(mp::Value<int>::remove(name));
    BOOST_TEST(!mp::Value<int>::remove(name));
    auto fresh = mp::Value<int>::create(name, 5);
    old.store(2);
    BOOST_TEST(same.load() == 2);
    BOOST_TEST(fresh.load() == 5);
    old = fresh; // dropping the old object must not take the new one's file away
    same = fresh;
    BOOST_TEST(std::filesystem::exists(support::file_of(name)));
    BOOST_TEST(mp::Value<int>::open(name).load() == 5);
}

BOOST_AUTO_TEST_CASE(names_of_every_printable_kind) {
    const std::string stem = support::unique_name("odd");
    for (const std::string tail :
         {" with spaces", ".dots..", "-\xc3\xa9t\xc3\xa9", "%s%n", "*?[]"}) {
        auto value = mp::Value<int>::create(stem + tail, 3);
        BOOST_TEST(mp::Value<int>::open(stem + tail).load() == 3);
    }
    const std::string longest = stem + std::string(200 - stem.size(), 'x');
    BOOST_TEST(mp::Value<int>::open_or_create(longest, 4).load() == 4);
}

BOOST_AUTO_TEST_CASE(a_message_larger_than_the_room_is_refused_and_the_queue_goes_on) {
    const std::string name = support::unique_name("room");
    auto queue = mp::Queue<std::string>::create(name, 4, 1 << 20);
    support::expect_error<mp::OutOfSharedMemory>([&] { queue.put(std::string(2 << 20, 'x')); },
                                                 {"bytes"});
    for (int i = 0; i < 20; ++i) {
        queue.put(std::string(200'000, 'y'));
        BOOST_TEST(queue.get().size() == 200'000U);
    }
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(leftovers_of_nobody_are_swept) {
    const support::OwnDirectory directory;
    const std::string name = support::unique_name("stale");
    // A child that is killed while it holds the only handle.
    support::RawChild child([&] {
        auto value = mp::Value<int>::create(name, 1);
        for (;;)
            pause();
        return 0;
    });
    support::wait_until([&] { return std::filesystem::exists(support::file_of(name)); });
    BOOST_TEST(mp::Value<int>::open(name).load() == 1); // it lives: opening works, sweeping spares
    static_cast<void>(mp::arena::remove_stale());
    BOOST_TEST(std::filesystem::exists(support::file_of(name)));
    child.kill();
    child.wait();
    BOOST_TEST(std::filesystem::exists(support::file_of(name)));
    const auto removed = mp::arena::remove_stale();
    BOOST_TEST((std::find(removed.begin(), removed.end(), name) != removed.end()));
    BOOST_TEST(!std::filesystem::exists(support::file_of(name)));
}

BOOST_AUTO_TEST_CASE(open_or_create_starts_anew_where_a_killed_program_left_a_file) {
    const std::string name = support::unique_name("anew");
    for (int i = 0; i < 5; ++i) {
        support::RawChild child([&] {
            auto lock = mp::Lock::open_or_create(name + "-lock");
            auto value = mp::Value<int>::open_or_create(name, 1);
            lock.lock(); // dies with it
            value.store(99);
            raise(SIGKILL);
            return 0;
        });
        BOOST_TEST(child.wait() == -SIGKILL);
        auto value = mp::Value<int>::open_or_create(name, 7);
        BOOST_TEST(value.load() == 7);
        auto lock = mp::Lock::open_or_create(name + "-lock");
        BOOST_TEST(lock.try_lock());
        lock.unlock();
    }
}

BOOST_AUTO_TEST_CASE(threads_that_open_and_drop_the_same_name_at_once) {
    const std::string name = support::unique_name("threads");
    const int rounds = support::scaled(200);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                auto value = mp::Value<int>::open_or_create(name);
                value.fetch_add(1);
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(!std::filesystem::exists(support::file_of(name)));
}

BOOST_AUTO_TEST_SUITE_END()
