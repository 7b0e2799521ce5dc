#include <multifork/pool/parallel.hpp>

#include <multifork/error.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/pool/core_budget.hpp>
#include <multifork/pool/progress_bar.hpp>

#include "pool/within_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unistd.h>

namespace multifork::detail {
namespace {

thread_local int jobs_of_this_thread = 0;
bool is_worker = false;

/// One line a batch, as joblib's with verbose > 10.
std::function<void(std::size_t, std::size_t)> line_of_each_batch(std::string label) {
    return [label = std::move(label), begin = platform::monotonic_ns()](std::size_t done,
                                                                        std::size_t all) {
        const auto passed = static_cast<double>(platform::monotonic_ns() - begin) / 1e9;
        const std::string line =
            all > 0
                ? fmt::format("[{}]: done {} of {} | elapsed {:.1f} s\n", label, done, all, passed)
                : fmt::format("[{}]: done {} | elapsed {:.1f} s\n", label, done, passed);
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
    };
}

} // namespace

WithinJob::WithinJob() noexcept {
    ++jobs_of_this_thread;
}
WithinJob::~WithinJob() {
    --jobs_of_this_thread;
}

void note_within_worker() noexcept {
    is_worker = true;
}

bool is_within_job() noexcept {
    return is_worker || jobs_of_this_thread > 0;
}

std::size_t workers_for(std::int64_t n_jobs) {
    if (n_jobs == 0)
        throw InvalidArgument("n_jobs of a Parallel is 0; give how many jobs are to run at once, "
                              "or -1 for one on each processor");
    if (n_jobs > 0)
        return static_cast<std::size_t>(n_jobs);
    // A minimum, since -n_jobs may be more than there are, and more than an int64 holds.
    return static_cast<std::size_t>(
        std::max<std::int64_t>(core_budget() + 1 + std::max<std::int64_t>(n_jobs, -1'000'000), 1));
}

std::function<void(std::size_t, std::size_t)>
parallel_progress(int verbose, std::size_t workers,
                  std::function<void(std::size_t, std::size_t)> progress) {
    if (verbose <= 0)
        return progress;
    const std::string label = fmt::format("Parallel(n_jobs={})", workers);
    std::function<void(std::size_t, std::size_t)> shown =
        progress_bar(label, {.elsewhere = ProgressBarOptions::Elsewhere::lines, .keep = true});
    if (verbose > 10)
        shown = line_of_each_batch(label);
    if (!progress)
        return shown;
    return [shown = std::move(shown), progress = std::move(progress)](std::size_t done,
                                                                      std::size_t all) {
        shown(done, all);
        progress(done, all);
    };
}

void throw_job_stays() {
    throw NotShareable("a job of this Parallel, or its result, cannot cross into worker processes: "
                       "make it with delayed(), of a function and of values that the codec knows "
                       "or handles, or use ParallelBackend::threads");
}

void throw_no_job_done(std::chrono::nanoseconds timeout) {
    throw TimedOut(
        fmt::format("no job of this Parallel was done within {} ms", timeout.count() / 1'000'000));
}

std::shared_ptr<ParallelTeam> make_team(const Parallel& options, std::optional<std::size_t> jobs) {
    std::size_t workers = workers_for(options.n_jobs);
    if (jobs)
        workers = std::min(workers, std::max<std::size_t>(*jobs, 1));
    PoolOptions pool = options.pool;
    std::optional<std::int64_t> batch_size = options.batch_size;
    if (options.timeout) {
        if (options.timeout->count() <= 0)
            throw InvalidArgument("the timeout of a Parallel must be more than 0; leave it out to "
                                  "wait as long as it takes");
        if (!batch_size)
            batch_size = 1;
        const std::int64_t jobs_each = std::max<std::int64_t>(*batch_size, 1);
        constexpr auto longest = std::chrono::nanoseconds::max();
        pool.task_limit =
            *options.timeout > longest / jobs_each ? longest : *options.timeout * jobs_each;
    }
    return std::make_shared<ParallelTeam>(options.backend, workers, pool, batch_size);
}

ParallelPlan plan_of(const Parallel& options, const ParallelTeam& team) {
    ParallelPlan plan;
    if (options.pre_dispatch)
        plan.pre_dispatch = at_least_1("pre_dispatch", *options.pre_dispatch);
    if (options.backend == ParallelBackend::threads && !team.is_sequential())
        plan.timeout = options.timeout;
    plan.progress = parallel_progress(options.verbose, team.workers(), options.progress);
    return plan;
}

} // namespace multifork::detail
