#pragma once

#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/pool/batch_size.hpp>
#include <multifork/pool/bind_front.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/pool_options.hpp>
#include <multifork/pool/thread_pool.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace multifork {

/// Where a Parallel runs its jobs.
enum class ParallelBackend : std::uint8_t {
    processes, ///< worker processes, by a Pool: what a job is made of must cross
    threads,   ///< threads of this process, by a ThreadPool
    sequential ///< the calling thread, one job after another
};

namespace detail {

/// As long as one lives, what its thread runs is a job of a Parallel.
class MULTIFORK_API WithinJob {
public:
    WithinJob() noexcept;
    ~WithinJob();
    WithinJob(const WithinJob&) = delete;
    WithinJob& operator=(const WithinJob&) = delete;
};
/// Whether this thread runs a job of a Parallel, or is in a worker of a Pool.
[[nodiscard]] MULTIFORK_API bool is_within_job() noexcept;
/// Workers for `n_jobs`: -1 for a processor each, -2 for all but one, ...
/// \throws InvalidArgument for 0
[[nodiscard]] MULTIFORK_API std::size_t workers_for(std::int64_t n_jobs);
/// What is told of each batch: on stderr as `verbose` asks for, and by `progress`.
[[nodiscard]] MULTIFORK_API std::function<void(std::size_t, std::size_t)>
parallel_progress(int verbose, std::size_t workers,
                  std::function<void(std::size_t, std::size_t)> progress);
[[noreturn]] MULTIFORK_API void throw_no_job_done(std::chrono::nanoseconds timeout);

/// The jobs of a batch. They need not be assignable, as no closure is.
template <class Job>
struct JobList {
    std::vector<Job> jobs;
};
template <class Job>
struct Cross<JobList<Job>> {
    static constexpr bool known = Cross<Job>::known;
    static constexpr bool brings_handles = true; // job by job
    static void write(ByteWriter& writer, const JobList<Job>& list) {
        writer(static_cast<std::uint64_t>(list.jobs.size()));
        for (const Job& job : list.jobs)
            pack(writer, job);
    }
    static JobList<Job> read(ByteReader& reader) {
        std::uint64_t count = 0;
        reader(count);
        JobList<Job> list;
        while (count-- > 0)
            list.jobs.push_back(Cross<Job>::read(reader));
        return list;
    }
};
[[noreturn]] MULTIFORK_API void throw_job_stays();

template <class Job>
using JobResult = std::decay_t<std::invoke_result_t<Job&>>;
/// What is kept of a result until all are there: of void, that there was one.
template <class R>
using Kept = std::conditional_t<std::is_void_v<R>, char, R>;
/// How long a batch took, in nanoseconds, and its results.
template <class Job>
using BatchRun = std::pair<std::int64_t, std::vector<Kept<JobResult<Job>>>>;

template <class Job>
[[nodiscard]] BatchRun<Job> run_jobs(std::vector<Job>& jobs) {
    BatchRun<Job> run;
    run.second.reserve(jobs.size());
    const std::int64_t begin = platform::monotonic_ns();
    for (Job& job : jobs) {
        if constexpr (std::is_void_v<JobResult<Job>>) {
            job();
            run.second.push_back(1);
        } else {
            run.second.push_back(job());
        }
    }
    run.first = platform::monotonic_ns() - begin;
    return run;
}

/// The task that a batch is.
template <class Job>
struct RunBatch {
    BatchRun<Job> operator()(JobList<Job> list) const {
        const WithinJob here;
        return run_jobs(list.jobs);
    }
};

/// Who does the work of a Parallel: a pool of one kind or the other, or nobody but the caller.
///
/// \threads one at a time
class ParallelTeam {
public:
    ParallelTeam(ParallelBackend backend, std::size_t workers, const PoolOptions& options,
                 std::optional<std::int64_t> batch_size)
        : workers_(workers), size_(batch_size) {
        if (workers == 1 || backend == ParallelBackend::sequential || is_within_job())
            workers_ = 1;
        else if (backend == ParallelBackend::threads)
            pool_.emplace<ThreadPool>(static_cast<std::int64_t>(workers));
        else
            pool_.emplace<Pool>(static_cast<std::int64_t>(workers), options);
    }

    [[nodiscard]] std::size_t workers() const noexcept { return workers_; }
    /// Whether submit() runs the jobs before it returns.
    [[nodiscard]] bool is_sequential() const noexcept { return pool_.index() == 0; }
    [[nodiscard]] BatchSize& batch_size() noexcept { return size_; }

    /// \throws NotShareable when the workers are processes and a job or its result cannot cross
    template <class Job>
    [[nodiscard]] Future<BatchRun<Job>> submit(std::vector<Job> jobs) {
        // Which of them it will be is known when the program runs: so what cannot cross compiles.
        if (auto* const processes = std::get_if<Pool>(&pool_)) {
            if constexpr (Crossable<Job> && Crossable<BatchRun<Job>>)
                return processes->submit(RunBatch<Job>{}, JobList<Job>{std::move(jobs)});
            else
                throw_job_stays();
        }
        if (auto* const threads = std::get_if<ThreadPool>(&pool_))
            return threads->submit(RunBatch<Job>{}, JobList<Job>{std::move(jobs)});
        Promise<BatchRun<Job>> promise;
        try {
            promise.set_value(run_jobs(jobs));
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
        return promise.get_future();
    }

private:
    std::size_t workers_;
    BatchSize size_;
    std::variant<std::monostate, Pool, ThreadPool> pool_;
};

} // namespace detail
} // namespace multifork
