#include "crew.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/pool/pool.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <span>

namespace demo {
namespace mp = multifork;
using namespace std::chrono_literals;
namespace {

using Bytes = mp::Value<std::uint64_t>;
using Sums = std::vector<FileSum>;

/// The task.
Sums sum_files(const std::vector<std::string>& paths, Bytes read) {
    Sums sums;
    for (const std::string& path : paths)
        sums.push_back(sum_file(path, [&](std::size_t size) { read.fetch_add(size); }));
    return sums;
}

/// Neighbours in the list that are one task.
struct Batch {
    std::size_t first = 0;
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    mp::Future<Sums> sums = {};
};

constexpr std::size_t most_files = 64;
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 20;

std::uint64_t size_of(const std::string& path) {
    struct stat about {};
    // What is not there will be said when it is opened.
    return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode)
               ? static_cast<std::uint64_t>(about.st_size)
               : 0;
}

std::vector<Batch> batches_of(const std::vector<std::string>& files) {
    std::vector<Batch> batches;
    for (std::size_t file = 0; file < files.size(); ++file) {
        const std::uint64_t size = size_of(files[file]);
        if (batches.empty() || batches.back().count == most_files ||
            batches.back().bytes + size > most_bytes)
            batches.push_back({.first = file});
        ++batches.back().count;
        batches.back().bytes += size;
    }
    return batches;
}

/// Kills workers while they work: the first when one part of the bytes is read, and so on.
class Killer {
public:
    Killer(mp::Pool& pool, int kills) : pool_(pool), kills_(static_cast<std::uint64_t>(kills)) {}

    [[nodiscard]] bool is_done() const { return killed_.size() >= kills_; }
    void look(std::uint64_t read, std::uint64_t all) {
        if (is_done() || static_cast<double>(read) * static_cast<double>(kills_ + 1) <
                             static_cast<double>(all) * static_cast<double>(killed_.size() + 1))
            return;
        const auto workers = pool_.processes();
        for (std::size_t i = 0; i < workers.size(); ++i) {
            const auto& worker = workers[(killed_.size() + i) % workers.size()];
            const int pid = worker.pid().value_or(0);
            if (!worker.is_alive() || std::count(killed_.begin(), killed_.end(), pid) > 0)
                continue;
            worker.kill();
            killed_.push_back(pid);
            return;
        }
    }
    [[nodiscard]] const std::vector<int>& killed() const { return killed_; }

private:
    mp::Pool& pool_;
    std::uint64_t kills_;
    std::vector<int> killed_;
};

} // namespace

CrewResult sum_in_processes(const std::vector<std::string>& files, const CrewOptions& options,
                            const std::function<void(std::size_t, const FileSum&)>& each,
                            const std::function<void(std::uint64_t, std::uint64_t)>& watch) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<Batch> batches = batches_of(files);
    std::uint64_t all = 0;
    for (const Batch& batch : batches)
        all += batch.bytes;

    Bytes read{0};
    mp::Pool pool{options.workers,
                  {.when_worker_dies = mp::on_worker_death::retry_task,
                   .retries = 2 + static_cast<unsigned>(options.kills)}};
    Killer killer(pool, options.kills);
    const auto look = [&] {
        const std::uint64_t now = read.load();
        killer.look(now, all);
        // What a killed worker had read is read again.
        watch(std::min(now, all), all);
    };
    const auto submit = [&](std::size_t first, std::size_t count) {
        const std::span names = std::span(files).subspan(first, count);
        return pool.submit(sum_files, std::vector<std::string>(names.begin(), names.end()), read);
    };
    const std::uint64_t large = all / (8 * static_cast<std::uint64_t>(options.workers)) + 1;
    for (const bool large_ones : {true, false})
        for (Batch& batch : batches)
            if ((batch.bytes >= large) == large_ones)
                batch.sums = submit(batch.first, batch.count);

    // Nothing if workers died of it again and again.
    const auto sums_of = [&](const mp::Future<Sums>& future) -> std::optional<Sums> {
        while (!future.wait_for(killer.is_done() ? 50ms : 2ms))
            look();
        try {
            return future.get();
        } catch (const mp::WorkerDied&) {
            return std::nullopt;
        }
    };
    for (Batch& batch : batches) {
        std::optional<Sums> sums = sums_of(batch.sums);
        batch.sums = {};
        look();
        for (std::size_t i = 0; i < batch.count; ++i) {
            FileSum sum{.state = FileSum::State::lost};
            if (sums) {
                sum = (*sums)[i];
            } else if (batch.count > 1) {
                if (const auto alone = sums_of(submit(batch.first + i, 1)))
                    sum = alone->front();
            }
            each(batch.first + i, sum);
        }
    }
    pool.close();
    pool.join();
    return {read.load(), std::chrono::steady_clock::now() - begin, killer.killed()};
}

} // namespace demo
