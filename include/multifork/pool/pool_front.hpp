#pragma once

#include <multifork/pool/error.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/imap.hpp>
#include <multifork/pool/map.hpp>
#include <multifork/pool/pool_options.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace multifork::detail {

/// How work gets to a kind of core. Specialised for each, with
///
///   call(core, f, args...)               -> Future of what f(args...) gives
///   map<Way>(core, f, items, options)    -> Future of the vector of results, or of void
///
/// Both throw when the core takes nothing more; and
///
///   hold<Ts...>(f)                       -> f, as what many tasks with a Ts... each can share
template <class Core>
struct Starter;

/// Whether something can be given to map(): a range that is no pool option.
template <class R>
concept Items = std::ranges::input_range<R>;

template <class F, class... Args>
concept Work = std::invocable < std::decay_t<F>
&, std::decay_t<Args>... > ;

/// What one can do with a Pool, and likewise with a ThreadPool.
///
/// \threads safe; a callback must not wait for another task of the same pool
template <class Core>
class PoolFront {
public:
    using multifork_describable = void;

    /// Has a worker call `f(args...)`. \return what it will give
    /// \throws InvalidState when the pool is closed or terminated; BrokenPool; of a Pool also
    /// NotShareable, what a serialize() throws, OutOfSharedMemory
    template <class F, class... Args>
        requires Work<F, Args...>
    [[nodiscard]] auto submit(F&& f, Args&&... args) {
        return Starter<Core>::call(core(), std::forward<F>(f), std::forward<Args>(args)...);
    }
    /// Python's name for submit().
    template <class F, class... Args>
        requires Work<F, Args...>
    [[nodiscard]] auto apply_async(F&& f, Args&&... args) {
        return submit(std::forward<F>(f), std::forward<Args>(args)...);
    }
    /// The same, and waits. \throws as submit(), and as Future::get()
    template <class F, class... Args>
        requires Work<F, Args...>
    auto apply(F&& f, Args&&... args) {
        return take(submit(std::forward<F>(f), std::forward<Args>(args)...));
    }

    /// `f` of each item, in the order of the items. The items of a chunk are one task.
    /// \return std::vector of the results; nothing if `f` returns void
    /// \throws what `f` threw for the first item for which it did; as submit()
    template <class F, Items Range>
    auto map(F&& f, Range&& items, const MapOptions& options = {}) {
        return take(map_async(std::forward<F>(f), std::forward<Range>(items), options));
    }
    /// The same, as a future.
    template <class F, Items Range>
    [[nodiscard]] auto map_async(F&& f, Range&& items, const MapOptions& options = {}) {
        return Starter<Core>::template map<Plain>(core(), std::forward<F>(f),
                                                  std::forward<Range>(items), options);
    }
    /// As map(), with items that are tuples (or pairs, arrays) of arguments.
    template <class F, Items Range>
    auto starmap(F&& f, Range&& items, const MapOptions& options = {}) {
        return take(starmap_async(std::forward<F>(f), std::forward<Range>(items), options));
    }
    template <class F, Items Range>
    [[nodiscard]] auto starmap_async(F&& f, Range&& items, const MapOptions& options = {}) {
        return Starter<Core>::template map<Starred>(core(), std::forward<F>(f),
                                                    std::forward<Range>(items), options);
    }

    /// The results one after another, in the order of the items, each as soon as it is there. The
    /// input is gone through meanwhile, and may be endless. An lvalue range must live as long.
    template <class F, std::ranges::viewable_range Range>
    [[nodiscard]] auto imap(F&& f, Range&& items, const MapOptions& options = {}) {
        return imap_of(std::forward<F>(f), std::views::all(std::forward<Range>(items)), options,
                       true);
    }
    /// The same, in the order in which they become ready.
    template <class F, std::ranges::viewable_range Range>
    [[nodiscard]] auto imap_unordered(F&& f, Range&& items, const MapOptions& options = {}) {
        return imap_of(std::forward<F>(f), std::views::all(std::forward<Range>(items)), options,
                       false);
    }

    /// No task more; the workers end when all is done. Twice is once.
    void close() { core()->close(); }
    /// Ends the pool now: what has not begun fails with Cancelled. See Pool and ThreadPool for what
    /// becomes of what has.
    void terminate() { core()->terminate(); }
    /// Waits until all workers have ended. \throws InvalidState before close() or terminate()
    void join() { core()->join(); }

    [[nodiscard]] std::size_t workers() const { return core()->workers(); }

    /// `<Pool fork workers=4 open, 12 unfinished>`
    [[nodiscard]] std::string to_string() const { return core()->to_string(); }

protected:
    explicit PoolFront(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}
    PoolFront(PoolFront&&) noexcept = default;
    PoolFront& operator=(PoolFront&& other) noexcept {
        if (this != &other) {
            leave();
            core_ = std::move(other.core_);
        }
        return *this;
    }
    ~PoolFront() { leave(); }

    [[nodiscard]] const std::shared_ptr<Core>& core() const {
        if (core_ == nullptr)
            throw InvalidState("this pool was moved from; use the one it was moved to");
        return core_;
    }

private:
    void leave() noexcept {
        if (core_ != nullptr)
            core_->leave();
        core_.reset();
    }
    template <class F, class View>
    [[nodiscard]] auto imap_of(F&& f, View items, const MapOptions& options, bool ordered) {
        using T = Item<View>;
        auto held = Starter<Core>::template hold<T>(std::decay_t<F>(std::forward<F>(f)));
        using R = typename Plain<decltype(held), T>::Result;
        static_assert(!std::is_void_v<R>, "imap() of a function that returns nothing has nothing "
                                          "to go through: use map()");
        core()->check_open();
        auto submit = [core = core(), f = std::move(held)](std::vector<T> chunk) {
            MapOptions one;
            one.chunk_size = static_cast<std::int64_t>(chunk.size());
            return Starter<Core>::template map<Plain>(core, f, std::move(chunk), one);
        };
        const std::size_t chunk = chunk_size_of(options.chunk_size, 1);
        const std::size_t ahead = chunk_size_of(options.look_ahead, 4 * core()->workers());
        return Imap<R, View, decltype(submit)>(std::move(items), std::move(submit), chunk, ahead,
                                               ordered, options.progress);
    }

    std::shared_ptr<Core> core_;
};

} // namespace multifork::detail
