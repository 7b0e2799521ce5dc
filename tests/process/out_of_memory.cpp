#include <multifork/channel/pipe.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"
#include "support/leftovers.hpp"
#include "support/program.hpp"
#include "support/seccomp.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mp = multifork;
namespace fs = std::filesystem;
namespace support = multifork::test;

// No room: in the arena, in /dev/shm, in the address space, in the registry of threads.

namespace {

bool says(const std::exception& error, std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words)
        if (std::string_view(error.what()).find(word) == std::string_view::npos) {
            std::fprintf(stderr, "'%s' lacks '%.*s'\n", error.what(), static_cast<int>(word.size()),
                         word.data());
            return false;
        }
    return true;
}

/// Fills the arena with `make()`, expects the right error, and that all is well afterwards.
template <class Make>
void fill(Make make) {
    using Made = decltype(make());
    std::vector<Made> all;
    bool full = false;
    while (!full) {
        try {
            all.push_back(make());
        } catch (const mp::OutOfSharedMemory& error) {
            full = true;
            support::demand(says(error, {"bytes", "MULTIFORK_ARENA_BYTES"}));
        }
    }
    support::demand(all.size() > 2);
    all.pop_back();
    all.push_back(make());
    all.clear();
    support::demand(mp::arena::arena_usage().blocks_used == 0);
}

const support::Program exhausted{"arena-exhausted", [] {
                                     fill([] { return mp::Queue<int>{100'000}; });
                                     fill([] { return mp::Value<std::array<char, 1000>>{}; });
                                     return 0;
                                 }};

const support::Program messages{
    "arena-exhausted-by-messages", [] {
        mp::Queue<std::string> queue{1'000};
        int count = 0;
        try {
            for (;; ++count)
                queue.put(std::string(100'000, static_cast<char>('a' + count % 26)));
        } catch (const mp::OutOfSharedMemory& error) {
            support::demand(says(error, {"bytes"}));
        }
        support::demand(count > 10 && queue.size() == static_cast<std::size_t>(count));
        queue.put("short ones still fit");
        for (int i = 0; i < count; ++i)
            support::demand(queue.get() == std::string(100'000, static_cast<char>('a' + i % 26)));
        support::demand(queue.get() == "short ones still fit");
        queue.put(std::string(100'000, 'z'));
        support::demand(queue.get().size() == 100'000);
        // And a child that fills it and dies leaves it to the others.
        mp::Process child{[&] {
            for (;;)
                queue.put(std::string(100'000, 'c'));
        }};
        child.start();
        child.join();
        support::demand(child.exitcode() == 1 &&
                        child.error()->type_name() == "multifork::OutOfSharedMemory");
        return 0;
    }};

const support::Program no_process{"arena-too-full-for-a-process", [] {
                                      // Queues of about the size of what a process needs, and then
                                      // whatever fits into the rest.
                                      std::vector<mp::Queue<int>> all;
                                      std::vector<mp::Lock> locks;
                                      try {
                                          for (;;)
                                              all.emplace_back(std::size_t{200});
                                      } catch (const mp::OutOfSharedMemory&) {
                                      }
                                      try {
                                          for (;;)
                                              locks.emplace_back();
                                      } catch (const mp::OutOfSharedMemory&) {
                                      }
                                      mp::Process child{[] {}};
                                      try {
                                          child.start();
                                          return 1;
                                      } catch (const mp::OutOfSharedMemory&) {
                                      }
                                      support::demand(!child.is_alive() &&
                                                      mp::active_children().empty());
                                      all.clear();
                                      child.start();
                                      child.join();
                                      return child.exitcode().value();
                                  }};

const support::Program wrong_size{
    "arena-size-is-wrong", [] {
        try {
            const mp::Lock lock;
        } catch (const mp::InvalidArgument& error) {
            return says(error, {"MULTIFORK_ARENA_BYTES", "number of bytes"}) ? 0 : 1;
        }
        return 2;
    }};

const support::Program narrow{"narrow-address-space", [] {
                                  const rlimit limit{2UL << 30, 2UL << 30};
                                  support::demand(setrlimit(RLIMIT_AS, &limit) == 0);
                                  mp::Queue<std::string> queue{4}; // in an arena smaller than usual
                                  queue.put(std::string(1'000'000, 'x'));
                                  support::demand(queue.get().size() == 1'000'000);
                                  return 0;
                              }};

const support::Program no_waitv{"no-waitv", [] {
                                    mp::Queue<int> there{1};
                                    mp::Queue<int> back{1};
                                    mp::Lock lock;
                                    mp::Process echo{[&] {
                                        for (const int i : there)
                                            back.put(i);
                                        lock.lock();
                                    }};
                                    echo.start();
                                    for (int i = 0; i < 100; ++i) {
                                        there.put(i);
                                        support::demand(back.get() == i);
                                    }
                                    there.close();
                                    echo.join();
                                    try {
                                        lock.lock();
                                    } catch (const mp::OwnerDied&) {
                                        return 0;
                                    }
                                    return 1;
                                }};

const support::Environment small{{"MULTIFORK_ARENA_BYTES", "8388608"}};

} // namespace

BOOST_AUTO_TEST_SUITE(out_of_memory)

BOOST_AUTO_TEST_CASE(arena_exhausted_by_objects) {
    BOOST_TEST(support::run_program("arena-exhausted", small).code == 0);
}

BOOST_AUTO_TEST_CASE(arena_exhausted_by_messages) {
    BOOST_TEST(support::run_program("arena-exhausted-by-messages", small).code == 0);
}

BOOST_AUTO_TEST_CASE(arena_too_full_for_another_process) {
    BOOST_TEST(support::run_program("arena-too-full-for-a-process", small).code == 0);
}

BOOST_AUTO_TEST_CASE(arena_sizes_that_cannot_be) {
    for (const char* size :
         {"0", "1", "x", "-5", "8388608x", "8 MiB", "1e9", "99999999999999999999999999"})
        BOOST_TEST(
            support::run_program("arena-size-is-wrong", {{"MULTIFORK_ARENA_BYTES", size}}).code ==
                0,
            size);
}

// A sanitizer's shadow memory needs more addresses than the limit gives.
BOOST_AUTO_TEST_CASE(a_narrow_address_space_gets_a_small_arena,
                     *boost::unit_test::label("no_asan") * boost::unit_test::label("no_tsan")) {
    BOOST_TEST(support::run_program("narrow-address-space").code == 0);
}

BOOST_AUTO_TEST_CASE(a_kernel_without_futex_waitv) {
    BOOST_TEST(support::run_program("no-waitv", {{"MULTIFORK_NO_WAITV", "1"}}).code == 0);
}

// As filters do that are older than the call: some containers, systemd's SystemCallFilter.
BOOST_AUTO_TEST_CASE(a_filter_that_refuses_futex_waitv) {
    support::RawChild child([] {
        support::refuse_call(SYS_futex_waitv, EPERM);
        using namespace std::chrono_literals;
        mp::Semaphore nothing{0};
        support::demand(!nothing.try_acquire_for(20ms));
        mp::Queue<int> queue{1};
        mp::Process getter{[&] {
            for (int i = 0; i < 3; ++i)
                support::demand(queue.get() == i);
        }};
        getter.start();
        for (int i = 0; i < 3; ++i)
            queue.put(i);
        getter.join();
        return getter.exitcode().value();
    });
    BOOST_TEST(child.wait() == 0);
}

// Ten seconds long: so long a child has to say that it lives.
BOOST_AUTO_TEST_CASE(a_bare_fork_that_fails_holds_no_end_of_a_pipe,
                     *boost::unit_test::label("full")) {
    support::RawChild child([] {
        auto [reader, writer] = mp::Pipe<int>(false);
        support::refuse_call(SYS_clone, EAGAIN);
        support::demand(::fork() == -1 && errno == EAGAIN);
        writer.close();
        support::demand(!reader.try_recv_for(std::chrono::minutes(2)));
        support::demand(reader.ended());
        return 0;
    });
    BOOST_TEST(child.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_full_dev_shm) {
    if (geteuid() != 0)
        return support::skip("only root can mount a small tmpfs");
    const std::string folder = fs::temp_directory_path() / support::unique_name("multifork-full");
    fs::create_directory(folder);
    // In a mount namespace of its own, so that the tmpfs goes with the child.
    support::RawChild child([&] {
        if (unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=512k") != 0)
            return 77;
        setenv("MULTIFORK_SHM_DIR", folder.c_str(), 1);
        const auto too_large = [&] {
            try {
                static_cast<void>(mp::Queue<int>::create("large", 1'000'000));
            } catch (const mp::OutOfSharedMemory& error) {
                return says(error, {folder, "large", "asked for", "free", "remove"});
            }
            return false;
        };
        support::demand(too_large());
        support::demand(fs::is_empty(folder));
        auto queue = mp::Queue<int>::create("small", 4);
        std::vector<mp::Lock> locks;
        try {
            for (int i = 0;; ++i)
                locks.push_back(mp::Lock::create("lock" + std::to_string(i)));
        } catch (const mp::OutOfSharedMemory& error) {
            support::demand(says(error, {"remove"}));
        }
        support::demand(!locks.empty());
        queue.put(1); // its pages were set aside
        support::demand(queue.get() == 1);
        locks.pop_back();
        locks.push_back(mp::Lock::create("again"));
        locks.back().lock();
        locks.back().unlock();
        return 0;
    });
    const int code = child.wait();
    fs::remove(folder);
    if (code == 77)
        return support::skip("needs the capability to mount a tmpfs (CAP_SYS_ADMIN)");
    BOOST_TEST(code == 0);
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_not_there) {
    const support::RawChild unused([] { return 0; });
    support::run_in_child([] {
        setenv("MULTIFORK_SHM_DIR", "/nowhere/at/all", 1);
        try {
            static_cast<void>(mp::Lock::create("x"));
        } catch (const mp::Error& error) {
            support::demand(says(error, {"/nowhere/at/all"}));
            return;
        }
        support::demand(false);
    });
}

BOOST_AUTO_TEST_CASE(more_threads_than_a_named_object_has_slots) {
    const std::string name = support::unique_name("slots");
    auto lock = mp::Lock::create(name);
    mp::liveness::detach_this_thread(); // its own slot, taken in making the lock
    constexpr int most = 1024;
    std::atomic<int> in{0};
    std::atomic<int> refused{0};
    std::atomic<bool> leave{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < most + 3; ++i)
        threads.emplace_back([&] {
            try {
                lock.lock();
                lock.unlock();
                ++in;
            } catch (const mp::TooManyThreads& error) {
                refused += says(error, {"1024", "slots"});
            }
            leave.wait(false);
        });
    support::wait_until([&] { return in + refused == most + 3; });
    BOOST_TEST(in == most);
    BOOST_TEST(refused == 3);
    leave = true;
    leave.notify_all();
    for (std::thread& thread : threads)
        thread.join();
    lock.lock(); // there is room again
    lock.unlock();
}

BOOST_AUTO_TEST_SUITE_END()
