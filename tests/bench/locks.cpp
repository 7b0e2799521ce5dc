#include "bench.hpp"
#include "pthread_peers.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include <semaphore.h>

#include <atomic>

namespace mp = multifork;

namespace {

/// Nanoseconds for one call of `f`, in a process of its own that is bound to a cpu.
template <class F>
double alone(F f, int count = 2'000'000) {
    bench::SharedMemory<double> result;
    bench::run_processes({[&] {
        for (int i = 0; i < count / 10; ++i)
            f();
        const std::int64_t start = bench::now_ns();
        for (int i = 0; i < count; ++i)
            f();
        *result = static_cast<double>(bench::now_ns() - start) / count;
    }});
    return *result;
}

/// Millions of sections a second, all processes together.
template <class Lock>
double contended(Lock& lock, int processes, volatile long& counter, int count = 400'000) {
    std::vector<std::function<void()>> workers(static_cast<std::size_t>(processes), [&] {
        for (int i = 0; i < count; ++i) {
            lock.lock();
            counter = counter + 1;
            lock.unlock();
        }
    });
    return processes * count / bench::run_processes(workers) * 1e-6;
}

struct alignas(64) Peers {
    bench::PthreadMutex mutex;
    bench::PthreadMutex robust{true};
    sem_t semaphore;
    std::atomic<int> number{0};
    Peers() { sem_init(&semaphore, 1, 1); }
};

struct Forty {
    long values[5];
};

} // namespace

int main(int argc, char** argv) {
    const int rounds = bench::rounds(argc, argv, 7);
    bench::SharedMemory<Peers> peers;
    bench::SharedMemory<long> counter;
    mp::Lock lock;
    mp::Semaphore semaphore{1};
    mp::Value<int> value{0};
    mp::Value<Forty> large;

    bench::Table pair("one process, a pair each", "ns");
    pair.row("atomic fetch_add", [&] { return alone([&] { peers->number.fetch_add(1); }); });
    pair.row("Value::fetch_add", [&] { return alone([&] { value.fetch_add(1); }); });
    pair.row("pthread mutex, process-shared",
             [&] { return alone([&] { peers->mutex.lock(), peers->mutex.unlock(); }); });
    pair.row("pthread robust mutex",
             [&] { return alone([&] { peers->robust.lock(), peers->robust.unlock(); }); });
    pair.row("Lock", [&] { return alone([&] { lock.lock(), lock.unlock(); }); });
    pair.row("sem_t", [&] {
        return alone([&] { sem_wait(&peers->semaphore), sem_post(&peers->semaphore); });
    });
    pair.row("Semaphore", [&] { return alone([&] { semaphore.acquire(), semaphore.release(); }); });
    pair.row("Value<int>::update",
             [&] { return alone([&] { value.update([](int& n) { ++n; }); }); });
    pair.row("Value<40 bytes>::update",
             [&] { return alone([&] { large.update([](Forty& f) { ++f.values[4]; }); }); });
    pair.target("Lock", "pthread mutex, process-shared", false, 0.9);
    pair.target("Value::fetch_add", "atomic fetch_add", false, 1.05);
    pair.target("Semaphore", "sem_t", false, 1.5);
    pair.target("Value<int>::update", "Lock", false, 1.3);
    pair.run(rounds);

    bench::Table many("lock, add one, unlock", "million a second");
    for (const int processes : {2, 4}) {
        const std::string suffix = fmt::format(", {} processes", processes);
        many.row("pthread mutex" + suffix,
                 [&, processes] { return contended(peers->mutex, processes, *counter); });
        many.row("Lock" + suffix, [&, processes] { return contended(lock, processes, *counter); });
        many.target("Lock" + suffix, "pthread mutex" + suffix, true, 1.1);
    }
    many.run(rounds);
}
