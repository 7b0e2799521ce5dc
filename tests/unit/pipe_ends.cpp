#include <multifork/channel/dict.hpp>
#include <multifork/channel/joinable_queue.hpp>
#include <multifork/channel/list.hpp>
#include <multifork/channel/namespace.hpp>
#include <multifork/channel/pipe.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/waitable.hpp>

#include "arena/pipe_end.hpp"
#include "arena/space_impl.hpp"
#include "support/blocks.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"
#include "support/program.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/core/pipe_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/event.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

/// Ends of a pipe that no destructor will give up.
const mp::arena::PipeEnd::Both& leaked_pipe() {
    static const auto* const both =
        new mp::arena::PipeEnd::Both(mp::arena::PipeEnd::make(1)); // reachable: no leak
    return *both;
}

/// A main process that ends in order, and a child of it that says whether an end was given up.
const support::Program ends_with_a_pipe{
    "ends with a pipe", [] {
        const auto& changes = leaked_pipe().reader->cell().changes;
        const mp::Event child_looks;
        const pid_t parent = ::getpid();
        if (::fork() == 0) {
            const std::uint32_t before = changes.load();
            mp::Event(child_looks).set();
            support::wait_until([&] { return ::getppid() != parent; });
            std::printf(changes.load() > before ? "given up" : "held by the dead");
            std::fflush(stdout);
            ::_exit(0);
        }
        mp::Event(child_looks).wait();
        return 0;
    }};

} // namespace

BOOST_AUTO_TEST_SUITE(pipes, *boost::unit_test::fixture<support::NoBackstop>())

BOOST_AUTO_TEST_CASE(the_stream_ends_when_the_other_end_is_closed) {
    auto [reader, writer] = mp::Pipe<int>(false);
    writer.send(1);
    writer.close();
    writer.close();
    BOOST_TEST(writer.closed());
    BOOST_TEST(!reader.ended());
    BOOST_TEST(reader.recv() == 1);
    BOOST_TEST(reader.ended());
    BOOST_TEST(reader.poll());
    BOOST_TEST(reader.poll(24h));
    BOOST_TEST((mp::wait({reader}, 0s) == std::vector<std::size_t>{0}));
    BOOST_TEST(!reader.try_recv().has_value());
    BOOST_TEST(!reader.try_recv_for(24h).has_value());
    support::expect_error<mp::EndOfStream>([&r = reader] { static_cast<void>(r.recv()); },
                                           {"end of the stream", "try_recv"});
    support::expect_error<mp::ConnectionClosed>([&w = writer] { w.send(1); }, {"closed"});
}

BOOST_AUTO_TEST_CASE(poll_that_sleeps_wakes_at_the_end_of_the_stream) {
    auto [reader, writer] = mp::Pipe<int>(false);
    std::atomic<int> tid{0};
    std::atomic<bool> true_at_the_end{false};
    std::thread poller([&, &r = reader] {
        tid = ::gettid();
        true_at_the_end = r.poll(24h) && r.ended();
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    writer.close();
    poller.join();
    BOOST_TEST(true_at_the_end);
}

BOOST_AUTO_TEST_CASE(the_last_copy_that_goes_closes) {
    auto ends = mp::Pipe<int>(false);
    {
        const auto writer = std::move(ends.second);
        ends.second = {};
        BOOST_TEST(!ends.first.ended());
    }
    BOOST_TEST(ends.first.ended());
}

BOOST_AUTO_TEST_CASE(sending_to_nobody_is_an_error_also_for_who_sleeps) {
    auto [reader, writer] = mp::Pipe<int>({.duplex = false, .capacity = 1});
    writer.send(1);
    std::atomic<bool> threw{false};
    std::thread sender([&, &w = writer] {
        try {
            w.send(2);
        } catch (const mp::BrokenPipe&) {
            threw = true;
        }
    });
    std::this_thread::sleep_for(10ms);
    reader.close();
    sender.join();
    BOOST_TEST(threw);
    support::expect_error<mp::BrokenPipe>([&w = writer] { w.send(2); }, {"nobody holds"});
}

BOOST_AUTO_TEST_CASE(close_ends_what_another_thread_waits_for) {
    auto [a, b] = mp::Pipe<int>();
    std::atomic<bool> threw{false};
    std::thread waiter([&, &r = a] {
        try {
            static_cast<void>(r.recv());
        } catch (const mp::ConnectionClosed&) {
            threw = true;
        }
    });
    std::this_thread::sleep_for(10ms);
    a.close();
    waiter.join();
    BOOST_TEST(threw);
    BOOST_TEST(b.ended());
}

BOOST_AUTO_TEST_CASE(a_child_that_inherited_an_end_holds_it_until_it_closes_it) {
    auto [reader, writer] = mp::Pipe<int>(false);
    auto [go_in, go_out] = mp::Pipe<int>();
    mp::Process child{[&, &w = writer, &g = go_out] {
        static_cast<void>(g.recv());
        w.close();
        static_cast<void>(g.recv());
    }};
    child.start();
    writer.close();
    BOOST_TEST(!reader.ended());
    BOOST_TEST(!reader.poll(20ms));
    go_in.send(1);
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    go_in.send(2);
    support::expect_exit(child);
}

// A thread closes an end while another one forks: the child has it, and can close it, or has not.
// (ThreadSanitizer takes the thread, which the child has not joined, for a leak.)
BOOST_AUTO_TEST_CASE(an_end_that_is_closed_during_a_fork_is_closed_in_the_child_too,
                     *boost::unit_test::label("no_tsan")) {
    for (int round = 0; round < 200; ++round) {
        auto [reader, writer] = mp::Pipe<int>(false);
        const mp::Event closed;
        const mp::Event looked;
        std::atomic<bool> go{false};
        std::thread closer([&, &r = reader] {
            while (!go) {
            }
            for (std::atomic<int> spin{0}; spin < round * 100; ++spin) {
            }
            r.close();
        });
        mp::Process child{{.start_method = mp::StartMethod::fork}, [&, &r = reader] {
                              r.close();
                              mp::Event(closed).set();
                              mp::Event(looked).wait();
                          }};
        go = true;
        child.start();
        closer.join();
        mp::Event(closed).wait();
        const bool nobody_reads = support::throws<mp::BrokenPipe>([&w = writer] { w.send(1); });
        mp::Event(looked).set();
        support::expect_exit(child);
        BOOST_TEST_REQUIRE(nobody_reads);
    }
}

BOOST_AUTO_TEST_CASE(a_child_that_ends_in_order_gives_its_ends_up) {
    auto [reader, writer] = mp::Pipe<std::string>(false);
    mp::Process child{[&, &w = writer] { w.send(std::string(1000, 'x')); }};
    child.start();
    writer.close();
    BOOST_TEST(reader.recv().size() == 1000u);
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    support::expect_exit(child);
}

// It says so itself; nobody has to find out that it has gone.
BOOST_AUTO_TEST_CASE(a_child_that_ends_in_order_gives_up_what_no_destructor_does) {
    const auto& pipe = leaked_pipe();
    const mp::Event may_end;
    mp::Process child{[&] { mp::Event(may_end).wait(); }};
    child.start();
    const std::uint32_t before = pipe.reader->cell().changes.load();
    mp::Event(may_end).set();
    siginfo_t ended{};
    BOOST_REQUIRE(
        ::waitid(P_PID, static_cast<id_t>(child.pid().value()), &ended, WEXITED | WNOWAIT) == 0);
    BOOST_TEST(pipe.reader->cell().changes.load() > before);
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(a_main_process_that_ends_in_order_gives_up_what_no_destructor_does) {
    const auto result = support::run_program("ends with a pipe");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "given up");
}

BOOST_AUTO_TEST_CASE(a_process_that_ends_frees_no_pipe_under_a_thread_that_is_inside) {
    const std::uint64_t before = support::blocks_used();
    {
        auto pipe = std::make_unique<mp::arena::PipeEnd::Both>(mp::arena::PipeEnd::make(1));
        const std::uint64_t block =
            pipe->reader->object().offset() - sizeof(mp::arena::BlockHeader);
        const mp::Event dropped;
        mp::Process child{[&] {
            const auto& owner = mp::arena::tree_space().impl().heap.block(block).owner;
            support::demand(pipe->reader->begin_use());
            mp::Event(dropped).wait();
            mp::arena::leave_pipe_ends();
            support::demand(pipe->reader->closed() && owner.load() != 0);
            pipe->reader->end_use();
            support::demand(owner.load() == 0);
        }};
        child.start();
        pipe.reset();
        mp::Event(dropped).set();
        support::expect_exit(child);
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(a_killed_child_holds_nothing) {
    for (int round = 0; round < 20; ++round) {
        auto [reader, writer] = mp::Pipe<int>(false);
        mp::Process child{[] { ::pause(); }};
        child.start();
        writer.close();
        std::thread killer([&] {
            if (round % 2 == 1)
                std::this_thread::sleep_for(2ms); // the reader sleeps already
            child.kill();
        });
        BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
        killer.join();
    }
}

BOOST_AUTO_TEST_CASE(a_sender_learns_that_the_only_reader_was_killed) {
    auto [reader, writer] = mp::Pipe<int>({.duplex = false, .capacity = 1});
    mp::Process child{[] { ::pause(); }};
    child.start();
    reader.close();
    writer.send(1);
    std::thread killer([&] {
        std::this_thread::sleep_for(5ms);
        child.kill();
    });
    BOOST_CHECK_THROW(writer.send(2), mp::BrokenPipe);
    killer.join();
}

BOOST_AUTO_TEST_CASE(a_grandchild_counts_too) {
    auto [reader, writer] = mp::Pipe<int>(false);
    mp::Process child{[&, &w = writer] {
        mp::Process grandchild{[&] {
            std::this_thread::sleep_for(20ms);
            w.send(42);
        }};
        grandchild.start();
        w.close();
        grandchild.join();
    }};
    child.start();
    writer.close();
    BOOST_TEST(reader.recv() == 42);
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(a_child_of_a_bare_fork_and_one_that_ends_by_underscore_exit) {
    auto [reader, writer] = mp::Pipe<int>(false);
    support::RawChild child([&, &w = writer] {
        w.send(7);
        return 0; // by _exit
    });
    writer.close();
    BOOST_TEST(reader.recv() == 7);
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    BOOST_TEST(child.wait() == 0);
}

BOOST_AUTO_TEST_CASE(the_maker_may_be_a_thread_that_has_ended) {
    // Nobody is left whose beacon tells of the end of that process: it is looked at on a tick.
    auto [ready_in, ready_out] = mp::Pipe<int>();
    auto [reader, writer] = mp::Pipe<int>(false);
    mp::Process child{[&, &r = ready_out, &w = writer] {
        mp::liveness::detach_this_thread();
        std::thread sender([&] { w.send(1); });
        sender.join();
        r.send(1);
        mp::liveness::detach_this_thread();
        ::pause();
    }};
    child.start();
    writer.close();
    BOOST_TEST(reader.recv() == 1);
    BOOST_TEST(ready_in.recv() == 1);
    BOOST_TEST(!reader.poll(30ms));
    BOOST_TEST(!reader.ended());
    child.kill();
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
}

BOOST_AUTO_TEST_CASE(a_pipe_outlives_its_maker) {
    const std::uint64_t before = support::blocks_used();
    {
        auto [outer, inner] = mp::Pipe<mp::Connection<std::string>>();
        mp::Process maker{[&, &o = inner] {
            auto [mine, yours] = mp::Pipe<std::string>();
            o.send(yours);
            mine.send("made by the child");
            static_cast<void>(mine.recv()); // waits until it has arrived
        }};
        maker.start();
        auto got = outer.recv();
        BOOST_TEST(got.recv() == "made by the child");
        got.send("go");
        support::expect_exit(maker);
        BOOST_TEST(got.ended());
        BOOST_CHECK_THROW(got.send("x"), mp::BrokenPipe);
        maker.close();
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(an_end_that_travels_goes_with_its_sender_for_good) {
    auto [outer, inner] = mp::Pipe<mp::Connection<int>>();
    auto [reader, writer] = mp::Pipe<int>(false);
    support::run_in_child([&, &o = inner, &w = writer] { o.send(w); });
    writer.close();
    BOOST_TEST(reader.ended());
    support::expect_error<mp::NotFound>([&, &o = outer] { static_cast<void>(o.recv()); },
                                        {"sender", "ended"});
    BOOST_TEST(reader.ended());
}

// Each of these says no, or throws; no end may be on its way after it.
BOOST_AUTO_TEST_CASE(an_end_whose_message_was_not_put_is_taken_back) {
    using Ends = mp::Connection<int>;
    using Maybe = std::optional<Ends>;
    auto [reader, writer] = mp::Pipe<int>(false);
    const std::vector<Ends> three(3, writer);
    {
        mp::Queue<Ends> full{1};
        BOOST_TEST(full.try_put_many(three) == 1u);
        BOOST_TEST(!full.try_put(writer));
        full.get().send(1);
        full.close();
        BOOST_CHECK_THROW(full.put(writer), mp::QueueClosed);
        BOOST_CHECK_THROW(static_cast<void>(full.put_many(three)), mp::QueueClosed);
    }
    {
        mp::JoinableQueue<Ends> full{1};
        full.put(writer);
        BOOST_TEST(!full.try_put(writer));
        auto task = full.get();
        task->send(2);
        task.task_done();
        full.close();
        BOOST_CHECK_THROW(full.put(writer), mp::QueueClosed);
    }
    const mp::List<Ends> list;
    BOOST_CHECK_THROW(list.set(0, writer), mp::InvalidArgument);
    list.extend(three);
    for (int i = 0; i < 3; ++i)
        list.pop().send(3 + i);
    const mp::Dict<int, Maybe> dict;
    dict.set(1, std::nullopt);
    BOOST_TEST(!dict.setdefault(1, writer).has_value());
    const mp::Namespace attributes;
    attributes.set("end", Maybe());
    BOOST_TEST(!attributes.setdefault("end", Maybe(writer)).has_value());
    for (int i = 1; i <= 5; ++i)
        BOOST_TEST(reader.recv() == i);
    BOOST_TEST(!reader.ended());
    writer.close();
    BOOST_TEST(reader.ended());
}

BOOST_AUTO_TEST_CASE(a_ledger_that_is_full) {
    const std::size_t room = mp::core::PipeCell::capacity;
    auto [outer, inner] = mp::Pipe<mp::Connection<int>>({.capacity = room + 10});
    auto [reader, writer] = mp::Pipe<int>(false);
    for (std::size_t i = 2; i < room; ++i)
        outer.send(writer);
    support::expect_error<mp::OutOfSharedMemory>([&, &o = outer, &w = writer] { o.send(w); },
                                                 {"248", "close those"});
    support::run_in_child([&, &w = writer] {
        support::demand(w.closed()); // no entry was left for it
        bool refused = false;
        try {
            w.send(1);
        } catch (const mp::ConnectionClosed&) {
            refused = true;
        }
        support::demand(refused);
    });
    inner.recv().send(7);
    BOOST_TEST(reader.recv() == 7);
    outer.send(writer); // the one that was received has gone again
}

BOOST_AUTO_TEST_SUITE_END()
