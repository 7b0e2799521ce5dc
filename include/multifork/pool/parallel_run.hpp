#pragma once

#include <multifork/platform/clock.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/map.hpp>
#include <multifork/pool/next_iterator.hpp>
#include <multifork/pool/parallel_team.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace multifork {
namespace detail {

/// How a Parallel goes through its jobs.
struct ParallelPlan {
    std::optional<std::size_t> pre_dispatch; ///< jobs; nothing: two batches for each worker
    std::optional<std::chrono::nanoseconds> timeout;
    std::function<void(std::size_t, std::size_t)> progress;
};

/// One run of a Parallel: takes jobs from the input, hands them out in batches, and gets the
/// results of a batch as soon as it is done. What is left when it goes is cancelled.
///
/// \threads one at a time
template <class View>
class ParallelRun {
public:
    using Job = Item<View>;
    using R = JobResult<Job>;
    using Results = std::vector<Kept<R>>;
    struct Batch {
        std::size_t number; ///< by its place in the input, from 0
        std::size_t jobs;
        Future<BatchRun<Job>> run;
    };

    ParallelRun(View input, std::shared_ptr<ParallelTeam> team, ParallelPlan plan)
        : input_(std::move(input)), team_(std::move(team)), plan_(std::move(plan)) {
        if constexpr (std::ranges::sized_range<View>)
            all_ = static_cast<std::size_t>(std::ranges::size(input_));
    }
    ~ParallelRun() {
        try {
            for (auto& [number, run] : waiting_)
                static_cast<void>(run.cancel());
        } catch (...) {
            // A destructor has nobody to tell: that there is no memory, or that this is the copy
            // of a forked child.
        }
    }
    ParallelRun(const ParallelRun&) = delete;
    ParallelRun& operator=(const ParallelRun&) = delete;

    /// Hands out as many jobs as may be.
    void fill() {
        while (!exhausted_ && may_take() > 0) {
            std::vector<Job> jobs;
            try {
                take_from_input(jobs, may_take());
            } catch (...) {
                exhausted_ = true;
                input_error_ = std::current_exception();
            }
            if (jobs.empty())
                return;
            hand_out(std::move(jobs));
        }
    }
    /// The next batch that is done; nothing at the end. \throws what the input threw, when
    /// everything before it is done; TimedOut
    [[nodiscard]] std::optional<Batch> next() {
        fill();
        if (waiting_.empty()) {
            if (done_ > 0 && done_ != all_)
                tell(done_); // an input that had no size
            plan_.progress = nullptr;
            if (input_error_ != nullptr)
                std::rethrow_exception(std::exchange(input_error_, nullptr));
            return std::nullopt;
        }
        Batch batch = wait();
        waiting_.erase(batch.number);
        done_ += batch.jobs;
        tell(all_);
        return batch;
    }
    /// The results of one. \throws what a job of it threw, WorkerDied, TaskTimedOut
    [[nodiscard]] Results results_of(const Batch& batch) {
        BatchRun<Job> run = take(batch.run);
        team_->batch_size().ran(batch.jobs, run.first);
        return std::move(run.second);
    }
    /// The results of a batch were handed out: there is room for others.
    void over(std::size_t jobs) noexcept { unfinished_ -= jobs; }

private:
    struct Arrivals {
        std::mutex mutex;
        std::condition_variable more;
        std::list<Batch> batches;
    };

    void hand_out(std::vector<Job> jobs) {
        const std::size_t count = jobs.size();
        // Its places first, for which there may be no memory: what was handed out is to be heard
        // of.
        std::list<Batch> place;
        place.push_back({batches_, count, {}});
        const auto waits = waiting_.try_emplace(batches_).first;
        try {
            waits->second = submit(std::move(jobs));
            waits->second.add_done_callback(
                [to = arrivals_, place = std::move(place)](Future<BatchRun<Job>> run) mutable {
                    place.front().run = std::move(run);
                    {
                        const std::scoped_lock hold(to->mutex);
                        to->batches.splice(to->batches.end(), place);
                    }
                    to->more.notify_one();
                });
        } catch (...) {
            waiting_.erase(waits);
            throw;
        }
        ++batches_;
        unfinished_ += count;
    }
    /// What cannot be handed out has failed, and says so in its turn.
    [[nodiscard]] Future<BatchRun<Job>> submit(std::vector<Job> jobs) {
        try {
            return team_->submit(std::move(jobs));
        } catch (...) {
            Promise<BatchRun<Job>> promise;
            promise.set_exception(std::current_exception());
            return promise.get_future();
        }
    }
    /// How many jobs the next batch may have. 0: enough are on their way.
    [[nodiscard]] std::size_t may_take() {
        const std::size_t workers = team_->workers();
        if (team_->is_sequential()) // lazily, one by one
            return waiting_.empty() && unfinished_ == 0 ? 1 : 0;
        std::size_t most = team_->batch_size().now();
        if (plan_.pre_dispatch) {
            if (unfinished_ >= *plan_.pre_dispatch)
                return 0;
            most = std::min({most, std::max<std::size_t>(*plan_.pre_dispatch / workers, 1),
                             *plan_.pre_dispatch - unfinished_});
        } else if (unfinished_ / (2 * workers) >= most) { // a product would overflow
            return 0;
        }
        if (all_ > taken_) // at the end, shares for all
            most = std::min(most, std::max<std::size_t>((all_ - taken_) / (2 * workers), 1));
        return most;
    }
    void take_from_input(std::vector<Job>& jobs, std::size_t most) {
        if (!at_)
            at_.emplace(std::ranges::begin(input_));
        else if (*at_ != std::ranges::end(input_))
            ++*at_;
        for (; *at_ != std::ranges::end(input_); ++*at_) {
            jobs.push_back(static_cast<Job>(**at_));
            ++taken_;
            if (jobs.size() == most)
                return; // the step is taken when the next is wanted: it may be dear
        }
        exhausted_ = true;
    }
    [[nodiscard]] Batch wait() {
        std::unique_lock lock(arrivals_->mutex);
        const auto deadline =
            plan_.timeout ? platform::Deadline::after(*plan_.timeout) : platform::Deadline::never();
        if (!platform::wait_before(arrivals_->more, lock, deadline,
                                   [&] { return !arrivals_->batches.empty(); }))
            throw_no_job_done(*plan_.timeout);
        Batch batch = std::move(arrivals_->batches.front());
        arrivals_->batches.pop_front();
        return batch;
    }
    void tell(std::size_t of) const {
        if (!plan_.progress)
            return;
        try {
            plan_.progress(done_, of);
        } catch (...) {
            report_callback(std::current_exception());
        }
    }

    View input_;
    std::shared_ptr<ParallelTeam> team_;
    ParallelPlan plan_;
    std::optional<std::ranges::iterator_t<View>> at_ = {};
    std::shared_ptr<Arrivals> arrivals_ = std::make_shared<Arrivals>();
    std::map<std::size_t, Future<BatchRun<Job>>> waiting_; // handed out, not yet heard of
    std::size_t all_ = 0;                                  // 0: the input does not know
    std::size_t taken_ = 0;
    std::size_t done_ = 0;
    std::size_t unfinished_ = 0; // taken, results not handed out
    std::size_t batches_ = 0;
    bool exhausted_ = false;
    std::exception_ptr input_error_;
};

} // namespace detail

/// The results of Parallel::generator() and generator_unordered(), one after another: a range to go
/// through once. Jobs that nobody has begun when it goes are cancelled.
///
/// \threads one thread at a time
template <class View>
class ParallelResults {
    using Run = detail::ParallelRun<View>;

public:
    using R = typename Run::R;
    static_assert(!std::is_void_v<R>, "jobs that return nothing have no results to go through: "
                                      "call the Parallel itself");

    /// \internal
    ParallelResults(std::unique_ptr<Run> run, bool ordered)
        : run_(std::move(run)), ordered_(ordered) {}

    /// The next result, when it is there; nothing at the end. \throws what its job threw, what kept
    /// its batch from being handed out, or what the input threw; the next step goes on behind its
    /// batch
    [[nodiscard]] std::optional<R> next() {
        while (handed_out_ == got_.size()) {
            run_->over(std::exchange(got_jobs_, 0));
            handed_out_ = 0;
            got_.clear();
            std::optional<typename Run::Batch> batch = next_batch();
            if (!batch)
                return std::nullopt;
            got_jobs_ = batch->jobs;
            got_ = run_->results_of(*batch);
        }
        return std::optional<R>(std::move(got_[handed_out_++]));
    }

    using iterator = detail::NextIterator<ParallelResults, R>;
    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

private:
    [[nodiscard]] std::optional<typename Run::Batch> next_batch() {
        if (!ordered_)
            return run_->next();
        while (true) {
            if (const auto here = early_.find(next_number_); here != early_.end()) {
                auto batch = std::move(here->second);
                early_.erase(here);
                ++next_number_;
                return batch;
            }
            std::optional<typename Run::Batch> batch = run_->next();
            if (!batch)
                return std::nullopt;
            early_.emplace(batch->number, std::move(*batch));
        }
    }

    std::unique_ptr<Run> run_;
    bool ordered_;
    std::map<std::size_t, typename Run::Batch> early_; // done before their turn
    std::size_t next_number_ = 0;
    typename Run::Results got_;
    std::size_t got_jobs_ = 0;
    std::size_t handed_out_ = 0;
};

} // namespace multifork
