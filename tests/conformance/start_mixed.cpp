#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <mutex>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

constexpr mp::StartMethod methods[] = {mp::StartMethod::fork, mp::StartMethod::spawn,
                                       mp::StartMethod::forkserver};

using Words = mp::Queue<std::string>;

void join_well(mp::Process& child) {
    child.start();
    child.join();
    support::demand(child.exitcode() == 0);
}

// ---- a Queue

void answer(Words questions, Words answers) {
    answers.put(questions.get() + " and thanks");
}

/// Makes queues, and has a child of its own use them.
void ask_a_child(mp::StartMethod method) {
    Words questions{1};
    Words answers{1};
    questions.put("please");
    mp::Process child{{.start_method = method}, answer, questions, answers};
    join_well(child);
    support::demand(answers.try_get() == "please and thanks");
}

/// Gives on what it was given.
void pass_on(mp::StartMethod method, Words questions, Words answers) {
    mp::Process child{{.start_method = method}, answer, questions, answers};
    join_well(child);
}

// ---- a Lock and a Value

constexpr int rounds = 20;

void count(mp::Lock lock, mp::Value<int> number, mp::Barrier together) {
    together.arrive_and_wait();
    for (int i = 0; i < rounds; ++i) {
        const std::scoped_lock hold(lock);
        support::increment_in_two_steps(number);
    }
}

void count_with_a_child(mp::StartMethod method, mp::Lock lock, mp::Value<int> number) {
    const mp::Barrier together{2};
    mp::Process child{{.start_method = method}, count, lock, number, together};
    child.start();
    count(lock, number, together);
    child.join();
    support::demand(child.exitcode() == 0);
}

void make_and_count(mp::StartMethod method) {
    const mp::Lock lock;
    const mp::Value<int> number{0};
    count_with_a_child(method, lock, number);
    support::demand(number.load() == 2 * rounds);
}

// ---- a descriptor that nobody gave away

/// \return 0 when it is open, else the errno
int use(int descriptor) {
    return ::send(descriptor, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno;
}

} // namespace

BOOST_AUTO_TEST_SUITE(start)

// The context is that of the process which makes the queues; all nine combinations work.
MULTIFORK_EACH_START_METHOD(T_010_queues_of_every_context_in_children_of_every_method) {
    for (const mp::StartMethod inner : methods) {
        BOOST_TEST_CONTEXT("in a child by " << mp::to_string(inner)) {
            support::run_in_child(context, ask_a_child, inner);
        }
    }
}

MULTIFORK_EACH_START_METHOD(T_010_queues_go_on_to_grandchildren_of_every_method) {
    for (const mp::StartMethod inner : methods) {
        BOOST_TEST_CONTEXT("in a grandchild by " << mp::to_string(inner)) {
            Words questions{1};
            Words answers{1};
            questions.put("please");
            support::run_in_child(context, pass_on, inner, questions, answers);
            BOOST_TEST((answers.try_get() == "please and thanks"));
        }
    }
}

MULTIFORK_EACH_START_METHOD(T_010_locks_and_values_of_every_context_in_children_of_every_method) {
    for (const mp::StartMethod inner : methods) {
        BOOST_TEST_CONTEXT("in a child by " << mp::to_string(inner)) {
            support::run_in_child(context, make_and_count, inner);
            const mp::Lock lock;
            const mp::Value<int> number{0};
            support::run_in_child(context, count_with_a_child, inner, lock, number);
            BOOST_TEST(number.load() == 2 * rounds);
        }
    }
}

// The server is there before the socket and after it: it has neither.
MULTIFORK_EACH_START_METHOD(T_012_a_socket_that_is_no_argument) {
    const bool forked = context.start_method() == mp::StartMethod::fork;
    for (int round = 0; round < 2; ++round) {
        int ends[2];
        BOOST_TEST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        const int high = ::fcntl(ends[0], F_DUPFD, 50); // not closed by exec
        BOOST_TEST_REQUIRE(high >= 50);
        BOOST_TEST(use(high) == 0);
        const mp::Value<int> result{-1};
        support::run_in_child(
            context, [](mp::Value<int> tell, int descriptor) { tell.store(use(descriptor)); },
            result, high);
        BOOST_TEST(result.load() == (forked ? 0 : EBADF));
        for (const int each : {ends[0], ends[1], high})
            ::close(each);
    }
}

BOOST_AUTO_TEST_SUITE_END()
