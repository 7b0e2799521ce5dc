#include "bench.hpp"
#include "pthread_peers.hpp"

#include <multifork/channel/queue.hpp>

#include <boost/interprocess/ipc/message_queue.hpp>

#include <cstring>
#include <memory>

namespace mp = multifork;

namespace {

constexpr std::size_t capacity = 1024;

struct Message {
    std::uint64_t sequence = 0;
    std::uint64_t payload[7] = {};
};
static_assert(sizeof(Message) == 64);

using Peer = bench::PthreadRing<Message, capacity>;

/// boost::interprocess::message_queue under the interface of the others.
class BoostQueue {
public:
    BoostQueue()
        : name_(fmt::format("multifork-bench-{}", ::getpid())),
          queue_((boost::interprocess::message_queue::remove(name_.c_str()),
                  boost::interprocess::create_only),
                 name_.c_str(), capacity, sizeof(Message)) {
        boost::interprocess::message_queue::remove(name_.c_str()); // open, and nothing stays behind
    }
    void put(const Message& message) { queue_.send(&message, sizeof message, 0); }
    Message get() {
        Message message;
        std::size_t size = 0;
        unsigned priority = 0;
        queue_.receive(&message, sizeof message, size, priority);
        return message;
    }

private:
    std::string name_;
    boost::interprocess::message_queue queue_;
};

/// Millions of messages a second through one queue; each is checked to be whole.
template <class Queue>
double throughput(Queue& queue, int producers, int consumers, int total) {
    std::vector<std::function<void()>> workers;
    for (int p = 0; p < producers; ++p)
        workers.emplace_back([&queue, count = total / producers] {
            Message message;
            for (int i = 0; i < count; ++i) {
                message.sequence = message.payload[6] = static_cast<std::uint64_t>(i);
                queue.put(message);
            }
        });
    for (int c = 0; c < consumers; ++c)
        workers.emplace_back([&queue, count = total / producers * producers / consumers] {
            for (int i = 0; i < count; ++i) {
                const Message message = queue.get();
                if (message.sequence != message.payload[6])
                    ::_exit(2);
            }
        });
    return total / bench::run_processes(workers) * 1e-6;
}

/// Nanoseconds there and back.
template <class Queue>
double round_trip(Queue& there, Queue& back, int count) {
    return bench::run_processes({[&] {
                                     Message message;
                                     for (int i = 0; i < count; ++i) {
                                         there.put(message);
                                         message = back.get();
                                     }
                                 },
                                 [&] {
                                     for (int i = 0; i < count; ++i)
                                         back.put(there.get());
                                 }}) /
           count * 1e9;
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = bench::rounds(argc, argv, 7);
    mp::Queue<Message> ours{capacity};
    mp::Queue<Message> ours_back{capacity};
    bench::SharedMemory<Peer> peer;
    bench::SharedMemory<Peer> peer_back;
    BoostQueue boost;
    BoostQueue boost_back;

    const std::string pthread_name = "pthread mutex + condition ring";
    const std::string boost_name = "boost message_queue";
    bench::Table one("one producer, one consumer, 64 bytes", "million a second");
    one.row(pthread_name, [&] { return throughput(*peer, 1, 1, 600'000); });
    one.row(boost_name, [&] { return throughput(boost, 1, 1, 300'000); });
    one.row("Queue", [&] { return throughput(ours, 1, 1, 2'000'000); });
    one.target("Queue", pthread_name, true, 3.0);
    one.target("Queue", boost_name, true, 5.0);
    one.run(rounds);

    bench::Table trip("there and back, 64 bytes", "ns");
    trip.row(pthread_name, [&] { return round_trip(*peer, *peer_back, 20'000); });
    trip.row(boost_name, [&] { return round_trip(boost, boost_back, 20'000); });
    trip.row("Queue", [&] { return round_trip(ours, ours_back, 100'000); });
    trip.run(rounds);

    bench::Table many("many producers, many consumers, 64 bytes", "million a second");
    for (const auto& [producers, consumers] : {std::pair{2, 2}, std::pair{4, 4}, std::pair{1, 3}}) {
        const std::string suffix = fmt::format(", {}+{}", producers, consumers);
        const int p = producers;
        const int c = consumers;
        many.row(pthread_name + suffix, [&, p, c] { return throughput(*peer, p, c, 300'000); });
        many.row("Queue" + suffix, [&, p, c] { return throughput(ours, p, c, 1'200'000); });
        many.target("Queue" + suffix, pthread_name + suffix, true, 3.0);
    }
    many.run(rounds);
}
