#pragma once

#include <multifork/platform/export.hpp>
#include <multifork/pool/delayed.hpp>
#include <multifork/pool/parallel_run.hpp>
#include <multifork/pool/parallel_team.hpp>
#include <multifork/pool/pool_options.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace multifork {

/// Runs many jobs at once, in the manner of joblib.
///
/// \code
///   std::vector<double> roots = mp::Parallel{.n_jobs = 4}(
///       numbers | std::views::transform([](double x) { return mp::delayed(root)(x); }));
/// \endcode
///
/// Jobs are what delayed() makes, or anything else that can be called without arguments. For
/// processes they must cross, as what a Pool runs; else NotShareable is thrown, as the backend is
/// known only when the program runs. They are a range, which may be lazy, or are given one by one;
/// then each may be of a type of its own, but all must give the same type. Several small jobs
/// become one task (see batch_size).
///
/// The first job that fails, by time, is what the call throws: as Future::get() of a Pool, with its
/// own type if that is a standard one or one of this library's. Jobs that have not begun are
/// dropped then, and workers are ended.
///
/// A Parallel within a job of another, or within a worker of a Pool, runs its jobs one after
/// another in the thread that calls it: the processors are in use already.
///
/// \threads safe: each call has workers of its own
struct Parallel {
    /// How many run at once. -1: one for each processor of this process (core_budget()), -2: all
    /// but one, and so on. 1: none but the caller. 0 is refused.
    std::int64_t n_jobs = 1;
    ParallelBackend backend = ParallelBackend::processes;
    /// Jobs that are one task. Nothing: so many that a task takes 2 to 20 ms, by what is measured
    /// while it goes; with a timeout, 1.
    std::optional<std::int64_t> batch_size = {};
    /// Jobs that are taken from the input before their results are there (with generator(): were
    /// handed out). Nothing: two batches for each worker.
    std::optional<std::int64_t> pre_dispatch = {};
    /// How long a job may take. Processes: its worker is killed, and TaskTimedOut thrown. Threads,
    /// which cannot be killed: TimedOut, when no job at all has ended for so long. Sequentially it
    /// means nothing.
    std::optional<std::chrono::nanoseconds> timeout = {};
    /// 1: a progress bar on stderr, or plain lines where that is no terminal; more than 10: a line
    /// for each batch.
    int verbose = 0;
    /// As MapOptions::progress; called in the thread that takes the results.
    std::function<void(std::size_t done, std::size_t all)> progress = {};
    /// For processes: start method, what happens when a worker dies, and so on.
    PoolOptions pool = {};

    /// Runs all, and waits. \return std::vector of the results, in the order of the jobs; nothing
    /// if they return void
    /// \throws what a job threw; InvalidArgument for options that mean nothing; as Pool::submit()
    template <class... Jobs>
    auto operator()(Jobs&&... jobs) const;
    /// The results one after another, in the order of the jobs, each as soon as it is there. The
    /// workers live as long as what is returned; an lvalue range must live as long, too.
    template <std::ranges::viewable_range Jobs>
    [[nodiscard]] auto generator(Jobs&& jobs) const;
    /// The same, in the order in which they become ready.
    template <std::ranges::viewable_range Jobs>
    [[nodiscard]] auto generator_unordered(Jobs&& jobs) const;
};

/// A Parallel whose workers stay for more than one call, as `with Parallel(...) as parallel`.
///
/// \code
///   mp::ParallelContext parallel{{.n_jobs = -1}};
///   while (!good_enough(x)) x = merge(parallel(steps(x)));
/// \endcode
///
/// After a call that threw it goes on; a job that was running then runs to its end.
///
/// \threads one at a time; no call as long as a generator of the one before lives
class ParallelContext {
public:
    /// Starts the workers. \throws InvalidArgument, and as Pool
    explicit ParallelContext(Parallel options);

    /// As of Parallel. @{
    template <class... Jobs>
    auto operator()(Jobs&&... jobs);
    template <std::ranges::viewable_range Jobs>
    [[nodiscard]] auto generator(Jobs&& jobs);
    template <std::ranges::viewable_range Jobs>
    [[nodiscard]] auto generator_unordered(Jobs&& jobs);
    /// @}

    [[nodiscard]] std::size_t workers() const noexcept { return team_->workers(); }

private:
    Parallel options_;
    std::shared_ptr<detail::ParallelTeam> team_;
};

namespace detail {

/// \param jobs  how many there are, if anybody knows: more workers have nothing to do
[[nodiscard]] MULTIFORK_API std::shared_ptr<ParallelTeam>
make_team(const Parallel& options, std::optional<std::size_t> jobs);
/// \throws InvalidArgument
[[nodiscard]] MULTIFORK_API ParallelPlan plan_of(const Parallel& options, const ParallelTeam& team);

/// A job that is one of several types. No std::variant: once that has asked whether a closure can
/// be assigned, g++ 12 takes it for one whose bytes cannot be copied.
template <class... Jobs>
struct AnyJob {
    std::size_t index = 0;
    std::shared_ptr<void> job = {}; // copies of this call the same one

    auto operator()() const {
        return visit<0>([](auto& one) { return one(); });
    }
    template <std::size_t I, class Visitor>
    auto visit(const Visitor& visitor) const {
        using One = std::tuple_element_t<I, std::tuple<Jobs...>>;
        if constexpr (I + 1 < sizeof...(Jobs))
            if (index != I)
                return visit<I + 1>(visitor);
        return visitor(*static_cast<One*>(job.get()));
    }
};
template <class... Jobs>
struct Cross<AnyJob<Jobs...>> {
    static constexpr bool known = all_known<Jobs...>;
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const AnyJob<Jobs...>& any) {
        writer(static_cast<std::uint64_t>(any.index));
        any.template visit<0>([&](const auto& one) { pack(writer, one); });
    }
    static AnyJob<Jobs...> read(ByteReader& reader) {
        std::uint64_t index = 0;
        reader(index);
        return read_at<0>(reader, index);
    }

private:
    template <std::size_t I>
    static AnyJob<Jobs...> read_at(ByteReader& reader, std::uint64_t index) {
        using One = std::tuple_element_t<I, std::tuple<Jobs...>>;
        if constexpr (I + 1 < sizeof...(Jobs))
            if (index != I)
                return read_at<I + 1>(reader, index);
        return {I, std::make_shared<One>(Cross<One>::read(reader))};
    }
};

template <std::ranges::viewable_range Jobs>
[[nodiscard]] auto jobs_of(Jobs&& jobs) {
    return std::views::all(std::forward<Jobs>(jobs));
}
template <class... Jobs>
    requires(sizeof...(Jobs) > 0 && (std::invocable<std::decay_t<Jobs>&> && ...))
[[nodiscard]] auto jobs_of(Jobs&&... jobs) {
    using First = std::tuple_element_t<0, std::tuple<std::decay_t<Jobs>...>>;
    static_assert((std::same_as<JobResult<First>, JobResult<std::decay_t<Jobs>>> && ...),
                  "the jobs of one Parallel must all give the same type");
    if constexpr ((std::same_as<First, std::decay_t<Jobs>> && ...)) {
        std::vector<First> all;
        all.reserve(sizeof...(Jobs));
        (all.push_back(std::forward<Jobs>(jobs)), ...);
        return std::views::all(std::move(all));
    } else {
        using Any = AnyJob<std::decay_t<Jobs>...>;
        std::vector<Any> all;
        all.reserve(sizeof...(Jobs));
        (all.push_back(
             {all.size(), std::make_shared<std::decay_t<Jobs>>(std::forward<Jobs>(jobs))}),
         ...);
        return std::views::all(std::move(all));
    }
}

template <class View>
[[nodiscard]] std::optional<std::size_t> size_if_known(View& view) {
    if constexpr (std::ranges::sized_range<View>)
        return static_cast<std::size_t>(std::ranges::size(view));
    else
        return std::nullopt;
}

template <class View>
[[nodiscard]] auto make_run(const Parallel& options, std::shared_ptr<ParallelTeam> team,
                            View view) {
    ParallelPlan plan = plan_of(options, *team);
    return std::make_unique<ParallelRun<View>>(std::move(view), std::move(team), std::move(plan));
}

/// All the results, in order. Batches are taken as they come, so that a slow one holds up nobody.
template <class View>
auto run_all(const Parallel& options, std::shared_ptr<ParallelTeam> team, View view) {
    using Run = ParallelRun<View>;
    const auto run = make_run(options, std::move(team), std::move(view));
    std::vector<typename Run::Results> parts;
    std::size_t count = 0;
    while (const auto batch = run->next()) {
        if (parts.size() <= batch->number)
            parts.resize(batch->number + 1);
        parts[batch->number] = run->results_of(*batch);
        run->over(batch->jobs);
        count += batch->jobs;
    }
    if constexpr (!std::is_void_v<typename Run::R>) {
        typename Run::Results all;
        all.reserve(count);
        for (auto& part : parts)
            std::move(part.begin(), part.end(), std::back_inserter(all));
        return all;
    }
}

template <class View>
[[nodiscard]] auto run_lazily(const Parallel& options, std::shared_ptr<ParallelTeam> team,
                              View view, bool ordered) {
    const bool at_once = !team->is_sequential();
    auto run = make_run(options, std::move(team), std::move(view));
    if (at_once)
        run->fill();
    return ParallelResults<View>(std::move(run), ordered);
}

} // namespace detail

template <class... Jobs>
auto Parallel::operator()(Jobs&&... jobs) const {
    auto view = detail::jobs_of(std::forward<Jobs>(jobs)...);
    auto team = detail::make_team(*this, detail::size_if_known(view)); // before it is moved
    return detail::run_all(*this, std::move(team), std::move(view));
}
template <std::ranges::viewable_range Jobs>
auto Parallel::generator(Jobs&& jobs) const {
    auto view = detail::jobs_of(std::forward<Jobs>(jobs));
    auto team = detail::make_team(*this, detail::size_if_known(view)); // before it is moved
    return detail::run_lazily(*this, std::move(team), std::move(view), true);
}
template <std::ranges::viewable_range Jobs>
auto Parallel::generator_unordered(Jobs&& jobs) const {
    auto view = detail::jobs_of(std::forward<Jobs>(jobs));
    auto team = detail::make_team(*this, detail::size_if_known(view)); // before it is moved
    return detail::run_lazily(*this, std::move(team), std::move(view), false);
}

inline ParallelContext::ParallelContext(Parallel options)
    : options_(std::move(options)), team_(detail::make_team(options_, std::nullopt)) {}

template <class... Jobs>
auto ParallelContext::operator()(Jobs&&... jobs) {
    return detail::run_all(options_, team_, detail::jobs_of(std::forward<Jobs>(jobs)...));
}
template <std::ranges::viewable_range Jobs>
auto ParallelContext::generator(Jobs&& jobs) {
    return detail::run_lazily(options_, team_, detail::jobs_of(std::forward<Jobs>(jobs)), true);
}
template <std::ranges::viewable_range Jobs>
auto ParallelContext::generator_unordered(Jobs&& jobs) {
    return detail::run_lazily(options_, team_, detail::jobs_of(std::forward<Jobs>(jobs)), false);
}

} // namespace multifork
