#include <multifork/pool/executor.hpp>

#include <multifork/arena/space.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/threads.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Rows E of the table that are about what goes wrong in the middle of a task of an executor of
// processes. Python's SystemExit is an exception; here std::exit() ends the process at once, and
// what is thrown for it is an exception like others.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

/// Not a standard exception.
struct ExitRequest {
    int code;
};

enum class Do : int { nothing, throw_error, ask_to_exit, exit, crash };

void act(Do what) {
    switch (what) {
    case Do::nothing:
        return;
    case Do::throw_error:
        throw std::range_error("this cannot be crossed with");
    case Do::ask_to_exit:
        throw ExitRequest{3};
    case Do::exit:
        std::exit(1);
    case Do::crash:
        ::signal(SIGSEGV, SIG_DFL); // not a sanitizer's
        ::raise(SIGSEGV);
    }
}

/// Does something when it is written down, or when it is read.
struct Trouble {
    Do written = Do::nothing;
    Do read = Do::nothing;
    std::string not_plain = {};

    template <class Archive>
    void save(Archive& archive) const {
        act(written);
        archive(static_cast<int>(written), static_cast<int>(read));
    }
    template <class Archive>
    void load(Archive& archive) {
        int w = 0;
        int r = 0;
        archive(w, r);
        written = static_cast<Do>(w);
        read = static_cast<Do>(r);
        act(read);
    }
};

int take(const Trouble&) {
    return 1;
}
Trouble make(Do written, Do read) {
    return {written, read, {}};
}
int absolute(int n) {
    return std::abs(n);
}
int own_pid() {
    return ::getpid();
}

template <class T>
void expect_broken(mp::ProcessPoolExecutor& executor, const mp::Future<T>& future,
                   std::string_view word) {
    support::expect_error<mp::BrokenProcessPool>([&] { static_cast<void>(future.get()); }, {word});
    support::expect_error<mp::BrokenProcessPool>(
        [&] { static_cast<void>(executor.submit(own_pid)); }, {word});
    executor.shutdown(); // else the case's time limit
}
template <class T>
void expect_range_error(mp::ProcessPoolExecutor& executor, const mp::Future<T>& future) {
    support::expect_error<std::range_error>(
        [&] {
            try {
                static_cast<void>(future.get());
            } catch (const std::range_error& error) {
                throw std::range_error(error.what()); // without what is nested in it
            }
        },
        {"cannot be crossed with"});
    BOOST_TEST(executor.submit(absolute, -1).get() == 1);
    executor.shutdown();
}

/// From here on this process and its children get no new threads, only processes.
void refuse_threads() {
    // clone3() has its flags in memory, where a filter cannot see them: without it the C library
    // takes clone().
    std::array filter{
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 4, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 2, 0),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
    };
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    support::demand(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    support::demand(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

} // namespace

BOOST_AUTO_TEST_SUITE(executor_deaths)

MULTIFORK_EACH_START_METHOD(E_021_no_thread_for_the_executor) {
    // In a child, which keeps the filter.
    support::RawChild child([&context] {
        mp::ProcessPoolExecutor executor{context, 2};
        refuse_threads();
        support::demand(support::throws<mp::BrokenProcessPool>([&] {
            executor.map(absolute, std::vector<int>{1, 2});
        }));
        executor.shutdown();
        support::demand(executor.processes().empty());
        return 0;
    });
    BOOST_TEST(child.wait() == 0);
}

MULTIFORK_EACH_START_METHOD(E_022_an_argument_that_cannot_be_written) {
    mp::ProcessPoolExecutor executor{context, 1};
    const auto future = executor.submit(take, Trouble{.written = Do::throw_error});
    BOOST_TEST(future.ready());
    expect_range_error(executor, future);
}

MULTIFORK_EACH_START_METHOD(E_023_exit_while_an_argument_is_read) {
    mp::ProcessPoolExecutor executor{context, 2};
    expect_broken(executor, executor.submit(take, Trouble{.read = Do::exit}), "exit code 1");
}

MULTIFORK_EACH_START_METHOD(E_025_crash_while_an_argument_is_read) {
    mp::ProcessPoolExecutor executor{context, 2};
    expect_broken(executor, executor.submit(take, Trouble{.read = Do::crash}), "exit code -11");
}

MULTIFORK_EACH_START_METHOD(E_026_crash_of_a_task) {
    mp::ProcessPoolExecutor executor{context, 2};
    expect_broken(executor, executor.submit(act, Do::crash), "exit code -11");
}

MULTIFORK_EACH_START_METHOD(E_028_error_of_a_task) {
    mp::ProcessPoolExecutor executor{context, 1};
    const auto future =
        executor.submit([]() -> int { throw std::range_error("this cannot be crossed with"); });
    expect_range_error(executor, future);
}

MULTIFORK_EACH_START_METHOD(E_029_crash_while_a_result_is_written) {
    mp::ProcessPoolExecutor executor{context, 2};
    expect_broken(executor, executor.submit(make, Do::crash, Do::nothing), "exit code -11");
}

MULTIFORK_EACH_START_METHOD(E_030_request_to_exit_while_a_result_is_written) {
    mp::ProcessPoolExecutor executor{context, 1};
    const auto asks = executor.submit(make, Do::ask_to_exit, Do::nothing);
    support::expect_error<mp::RemoteError>([&] { static_cast<void>(asks.get()); }, {"ExitRequest"});
    expect_broken(executor, executor.submit(make, Do::exit, Do::nothing), "exit code 1");
}

MULTIFORK_EACH_START_METHOD(E_031_error_while_a_result_is_written) {
    mp::ProcessPoolExecutor executor{context, 1};
    expect_range_error(executor, executor.submit(make, Do::throw_error, Do::nothing));
}

MULTIFORK_EACH_START_METHOD(E_033_request_to_exit_while_a_result_is_read) {
    mp::ProcessPoolExecutor executor{context, 2};
    expect_broken(executor, executor.submit(make, Do::nothing, Do::ask_to_exit), "cannot be read");
}

MULTIFORK_EACH_START_METHOD(E_035_shutdown_with_an_argument_that_cannot_be_written) {
    const std::size_t before = support::own_threads();
    mp::ProcessPoolExecutor executor{context, 2};
    const auto works = executor.submit(absolute, -7);
    const auto fails = executor.submit(take, Trouble{.written = Do::throw_error});
    executor.shutdown(false);
    support::expect_error<std::range_error>([&] { static_cast<void>(fails.get()); },
                                            {"cannot be crossed with"});
    BOOST_TEST(works.get() == 7);
    support::wait_until(
        [&] { return support::own_threads() == before && executor.processes().empty(); });
}

BOOST_AUTO_TEST_CASE(E_041_a_failed_initializer_leaves_nothing_forkserver) {
    const support::ServerStops at_the_end;
    const auto round = [] {
        mp::ProcessPoolExecutor executor{
            2,
            {.start_method = mp::StartMethod::forkserver},
            [](const std::string& text) { throw std::runtime_error(text); },
            std::string(5000, 'x')};
        const auto future = executor.submit(absolute, 1);
        support::expect_error<mp::BrokenProcessPool>([&] { static_cast<void>(future.get()); },
                                                     {"initializer"});
    };
    round();
    mp::arena::tree_space().sweep();
    const auto before = mp::arena::arena_usage().blocks_used;
    round();
    mp::arena::tree_space().sweep();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before);
    // That /dev/shm is as it was is looked after by main().
}

BOOST_AUTO_TEST_SUITE_END()
