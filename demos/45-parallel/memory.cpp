#include "memory.hpp"

#include "toolkit/text.hpp"

#include <multifork/multifork.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <numeric>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <vector>

namespace mp = multifork;
using namespace std::chrono_literals;

namespace {

/// What a process has in memory of all that is mapped, in bytes.
struct Memory {
    std::int64_t resident_shared = 0; ///< of shared memory, all that it has touched
    std::int64_t share_of_shared = 0; ///< its part of that: a page that 4 have counts as a quarter
    std::int64_t own = 0;             ///< that nobody else has
};

/// The kernel's account of this process; nothing where it does not tell.
std::optional<Memory> memory_now() {
    Memory memory;
    int found = 0;
    // By mapping, since only there a resident page can be told to be one of shared memory.
    std::ifstream maps("/proc/self/smaps");
    bool is_shared = false;
    for (std::string line; std::getline(maps, line);) {
        const auto kib = [&] { return std::stoll(line.substr(line.find(':') + 1)) * 1024; };
        if (line.find(':') > line.find(' ') || line.find(':') == std::string::npos) {
            // "7f…-7f… rw-s 00000000 00:01 1024 /memfd:…": a mapping begins
            const auto modes = line.find(' ') + 1;
            is_shared = line.size() > modes + 3 && line[modes + 3] == 's';
        } else if (line.starts_with("Rss:")) {
            memory.resident_shared += is_shared ? kib() : 0;
        } else if (line.starts_with("Pss:")) {
            memory.share_of_shared += is_shared ? kib() : 0;
            ++found;
        } else if (line.starts_with("Anonymous:")) {
            memory.own += is_shared ? 0 : kib();
        }
    }
    return found > 0 ? std::optional(memory) : std::nullopt;
}

/// What a job found out.
struct Reading {
    double sum = 0;
    bool measured = false;
    Memory memory;
};

/// Reads all of it, and looks at its memory when all jobs have done so and none has let go.
Reading read_all(std::span<const double> numbers, mp::Barrier& all) {
    Reading reading;
    reading.sum = std::accumulate(numbers.begin(), numbers.end(), 0.0);
    all.arrive_and_wait_for(60s);
    if (const auto memory = memory_now()) {
        reading.measured = true;
        reading.memory = *memory;
    }
    all.arrive_and_wait_for(60s);
    return reading;
}
Reading read_shared(std::span<const double> numbers, mp::Barrier all) {
    return read_all(numbers, all);
}
Reading read_copy(const std::vector<double>& numbers, mp::Barrier all) {
    return read_all(numbers, all);
}

std::string mib(std::int64_t bytes) {
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20U));
}

template <class Field>
std::int64_t total(const std::vector<Reading>& readings, Field Memory::*field) {
    std::int64_t sum = 0;
    for (const Reading& reading : readings)
        sum += reading.memory.*field;
    return sum;
}

/// n jobs at once, of workers that are there already.
template <class F, class Numbers>
std::vector<Reading> at_once(mp::ParallelContext& parallel, F f, const Numbers& numbers,
                             std::int64_t n_jobs) {
    const mp::Barrier all{static_cast<std::size_t>(n_jobs)};
    return parallel(std::views::iota(std::int64_t{0}, n_jobs) |
                    std::views::transform([&](auto) { return mp::delayed(f)(numbers, all); }));
}

} // namespace

void check_memory(demo::Claims& claims, std::int64_t n_jobs, std::int64_t bytes) {
    const auto size = static_cast<std::size_t>(bytes) / sizeof(double);
    mp::ParallelContext parallel{{.n_jobs = n_jobs, .batch_size = 1}};
    // The workers are there. What they see of this array they see because it is shared, not because
    // they were forked with it.
    mp::RawArray<double> numbers(size);
    std::iota(numbers.begin(), numbers.end(), 0.0);
    const std::span<const double> shared(numbers.view());
    const double right = std::accumulate(shared.begin(), shared.end(), 0.0);

    const auto by_span = at_once(parallel, read_shared, shared, n_jobs);
    const auto is_right = [&](const Reading& reading) { return reading.sum == right; };
    claims.check(std::ssize(by_span) == n_jobs && std::ranges::all_of(by_span, is_right),
                 fmt::format("{} read one array of {} that was made after them",
                             demo::count_of(n_jobs, "worker"), mib(bytes)),
                 fmt::format("the sum is {:.0f}", right));
    if (!by_span.front().measured) {
        claims.note("The kernel does not tell here how much memory a process uses.");
        return;
    }
    const std::int64_t rss = total(by_span, &Memory::resident_shared);
    const std::int64_t pss = total(by_span, &Memory::share_of_shared);
    claims.check(rss >= n_jobs * bytes && pss < bytes + (bytes >> 1U),
                 "All of it is in the memory of each, and there it is once",
                 fmt::format("RSS {}, PSS {} in all", mib(rss), mib(pss)));

    const std::int64_t own_before = total(by_span, &Memory::own);
    const std::vector<double> vector(shared.begin(), shared.end());
    const auto by_copy = at_once(parallel, read_copy, vector, n_jobs);
    const std::int64_t own = total(by_copy, &Memory::own) - own_before;
    claims.check(std::ranges::all_of(by_copy, is_right) && own > n_jobs * bytes / 2,
                 "As a std::vector it is copied for each",
                 fmt::format("{} of their own more in all", mib(own)));
}
