#include <multifork/channel/pipe.hpp>
#include <multifork/channel/waitable.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/core/pipe_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

struct NoBackstop {
    NoBackstop() { mp::liveness::tuning().tick_ns = 0; }
    ~NoBackstop() { mp::liveness::tuning().tick_ns = 250'000'000; }
};

std::uint64_t blocks_now() {
    mp::arena::tree_space().sweep();
    return mp::arena::arena_usage().blocks_used;
}

} // namespace

BOOST_AUTO_TEST_SUITE(pipes, *boost::unit_test::fixture<NoBackstop>())

BOOST_AUTO_TEST_CASE(both_ends_of_a_duplex_pipe_send_and_receive) {
    auto [a, b] = mp::Pipe<std::string>();
    a.send("to b");
    b.send("to a");
    BOOST_TEST(b.recv() == "to b");
    BOOST_TEST(a.recv() == "to a");
    BOOST_TEST(a.to_string() == "<Connection to receive and send, open>");
}

BOOST_AUTO_TEST_CASE(a_plain_type_and_a_long_message) {
    auto [a, b] = mp::Pipe<std::array<int, 100>>();
    std::array<int, 100> many{};
    many[99] = 7;
    a.send(many);
    BOOST_TEST(b.recv()[99] == 7);
    auto [c, d] = mp::Pipe<int>();
    c.send(5);
    BOOST_TEST(d.recv() == 5);
}

BOOST_AUTO_TEST_CASE(nothing_is_there_and_the_polling_forms_say_so) {
    auto [a, b] = mp::Pipe<int>();
    BOOST_TEST(!a.poll());
    BOOST_TEST(!a.poll(-1s));
    BOOST_TEST(!a.try_recv().has_value());
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!a.try_recv_for(20ms).has_value());
    BOOST_TEST(!a.poll(20ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 40ms));
    b.send(3);
    BOOST_TEST(a.poll());
    BOOST_TEST(a.poll(24h));
    BOOST_TEST(a.try_recv().value() == 3);
}

BOOST_AUTO_TEST_CASE(a_full_pipe_makes_its_sender_wait) {
    auto [reader, writer] = mp::Pipe<int>({.duplex = false, .capacity = 2});
    writer.send(1);
    writer.send(2);
    BOOST_TEST(!writer.try_send(3));
    BOOST_TEST(!writer.try_send_for(3, 10ms));
    std::thread sender([&writer = writer] {
        for (int i = 3; i < 100; ++i)
            writer.send(i);
    });
    for (int i = 1; i < 100; ++i)
        BOOST_TEST(reader.recv() == i);
    sender.join();
}

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
    std::thread poller([&, &r = reader] {
        tid = ::gettid();
        BOOST_TEST(r.poll(24h));
        BOOST_TEST(r.ended());
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    writer.close();
    poller.join();
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

BOOST_AUTO_TEST_CASE(a_child_that_ends_in_order_gives_its_ends_up) {
    auto [reader, writer] = mp::Pipe<std::string>(false);
    mp::Process child{[&, &w = writer] { w.send(std::string(1000, 'x')); }};
    child.start();
    writer.close();
    BOOST_TEST(reader.recv().size() == 1000u);
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    support::expect_exit(child);
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

BOOST_AUTO_TEST_CASE(pipes_leave_no_memory_behind) {
    const std::uint64_t before = blocks_now();
    {
        auto [a, b] = mp::Pipe<std::string>();
        a.send(std::string(5000, 'x')); // never received
        mp::Process child{[&, &c = b] { static_cast<void>(c.recv()); }};
        child.start();
        support::expect_exit(child);
        a.send(std::string(5000, 'y'));
        child.close();
    }
    BOOST_TEST(blocks_now() == before);
}

BOOST_AUTO_TEST_CASE(a_pipe_outlives_its_maker) {
    const std::uint64_t before = blocks_now();
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
    BOOST_TEST(blocks_now() == before);
}

BOOST_AUTO_TEST_CASE(a_connection_that_could_not_be_sent_does_not_stay_open) {
    auto [outer, inner] = mp::Pipe<mp::Connection<int>>({.duplex = true, .capacity = 1});
    auto [reader, writer] = mp::Pipe<int>(false);
    outer.send(reader);
    BOOST_TEST(!outer.try_send(writer));
    writer.close();
    BOOST_TEST(reader.ended());
    inner.close();
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

BOOST_AUTO_TEST_CASE(garbage_instead_of_a_connection) {
    auto [outer, inner] = mp::Pipe<mp::Connection<int>>();
    outer.send_bytes("garbage");
    BOOST_CHECK_THROW(static_cast<void>(inner.recv()), mp::CorruptSharedMemory);
    std::vector<std::byte> bytes(8 + 80, std::byte{0x41});
    for (std::size_t i = 0; i < 8; ++i)
        bytes[i] = i == 0 ? std::byte{80} : std::byte{0}; // a string of 80 bytes
    outer.send_bytes(bytes);
    BOOST_CHECK_THROW(static_cast<void>(inner.recv()), mp::CorruptSharedMemory);
}

BOOST_AUTO_TEST_CASE(bytes_in_all_forms) {
    auto [a, b] = mp::Pipe();
    a.send_bytes("hello");
    BOOST_TEST(b.recv_bytes().size() == 5u);
    const std::vector<std::byte> ten(10, std::byte{7});
    a.send_bytes(ten, 3);
    BOOST_TEST(b.recv_bytes().size() == 7u);
    a.send_bytes(ten, 3, 4);
    BOOST_TEST(b.recv_bytes(4).size() == 4u);
    a.send_bytes(ten, 10, 0);
    BOOST_TEST(b.poll());
    BOOST_TEST(b.recv_bytes(0).empty());
    const auto& sending = a;
    auto sender = sending;
    BOOST_CHECK_THROW(sender.send_bytes(ten, -1), mp::InvalidArgument);
    BOOST_CHECK_THROW(sender.send_bytes(ten, 11), mp::InvalidArgument);
    BOOST_CHECK_THROW(sender.send_bytes(ten, 3, -1), mp::InvalidArgument);
    BOOST_CHECK_THROW(sender.send_bytes(ten, 3, 8), mp::InvalidArgument);
    BOOST_TEST(!b.poll());

    std::array<std::byte, 12> buffer{};
    a.send_bytes(ten);
    BOOST_TEST(b.recv_bytes_into(buffer, 2) == 10u);
    BOOST_TEST((buffer[1] == std::byte{0} && buffer[2] == std::byte{7}));
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes_into(buffer, -1)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes_into(buffer, 13)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes(-1)), mp::InvalidArgument);
    a.send_bytes(ten);
    try {
        static_cast<void>(b.recv_bytes_into(buffer, 3));
        BOOST_ERROR("did not throw");
    } catch (const mp::BufferTooShort& error) {
        BOOST_TEST((error.bytes() == ten));
    }
    a.send_bytes(ten);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes(9)), mp::Error);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes()), mp::ConnectionClosed);
    b.send_bytes("still sends");
    BOOST_TEST(a.recv_bytes().size() == 11u);
}

BOOST_AUTO_TEST_CASE(bad_arguments_are_refused) {
    BOOST_CHECK_THROW(static_cast<void>(mp::Pipe<int>({.capacity = 0})), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(mp::Pipe<int>({.capacity = ~std::size_t{0}})),
                      mp::InvalidArgument);
    mp::Connection<int> none;
    support::expect_error<mp::ConnectionClosed>([&] { none.send(1); }, {"nothing"});
    BOOST_TEST(none.closed());
    BOOST_TEST(none.to_string() == "<Connection to nothing>");
}

// Several at each end: nothing is lost or doubled. (Fails when the ring's lock is left out.)
BOOST_AUTO_TEST_CASE(several_senders_and_receivers) {
    auto [reader, writer] = mp::Pipe<int>({.duplex = false, .capacity = 4});
    const int each = support::scaled(5'000);
    std::atomic<long> sum{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, r = reader]() mutable {
            while (auto got = r.try_recv_for(24h))
                sum += *got;
        });
    std::vector<std::thread> senders;
    for (int t = 0; t < 3; ++t)
        senders.emplace_back([&, w = writer]() mutable {
            for (int i = 1; i <= each; ++i)
                w.send(i);
        });
    for (std::thread& sender : senders)
        sender.join();
    writer.close();
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(sum == 3L * each * (each + 1) / 2);
}

BOOST_AUTO_TEST_SUITE_END()
