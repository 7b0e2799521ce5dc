#include "bench.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/sync/lock.hpp>

#include <cstdio>

namespace mp = multifork;

namespace {

/// Resident memory of this process in KiB.
long resident() {
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    long size = 0;
    long pages = 0;
    if (file == nullptr || std::fscanf(file, "%ld %ld", &size, &pages) != 2)
        std::abort();
    std::fclose(file);
    return pages * ::sysconf(_SC_PAGESIZE) / 1024;
}

} // namespace

int main() {
    const long before = resident();
    mp::Lock lock;
    lock.lock();
    lock.unlock();
    const long with_lock = resident() - before;
    const auto empty = mp::arena::arena_usage().bytes_used;
    mp::Queue<int> queue{64};
    const auto with_queue = mp::arena::arena_usage().bytes_used - empty;
    fmt::print("one Lock: {} KiB of resident memory more, wanted <= 2048: {}\n", with_lock,
               with_lock <= 2048 ? "met" : "MISSED");
    fmt::print("Queue<int> of 64: {} bytes of the arena, wanted <= 16384: {}\n", with_queue,
               with_queue <= 16384 ? "met" : "MISSED");
}
