#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/codec.hpp>
#include <multifork/channel/crossing.hpp>
#include <multifork/channel/lease.hpp>
#include <multifork/channel/message_ring.hpp>
#include <multifork/channel/named_queue.hpp>
#include <multifork/channel/travellers.hpp>
#include <multifork/error.hpp>
#include <multifork/format.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace multifork {

/// An item that JoinableQueue::get() has given out: to be acknowledged by task_done().
///
/// The lease is the calling thread's. If that thread, or its process, ends before task_done() (it
/// is killed, say), the item is queued again as it was put, and the next getter's tries() is one
/// more. The same happens when the Lease is destroyed without task_done(): by an exception, say.
///
/// Moving a Lease to another thread of the process is well, as long as the thread that got it
/// lives. A forked child has no leases: what it copies of a Lease does nothing when destroyed.
template <Crossable T>
class Lease : public LeaseTicket {
public:
    /// The item; this process's own copy.
    [[nodiscard]] T& value() noexcept { return value_; }
    [[nodiscard]] const T& value() const noexcept { return value_; }
    [[nodiscard]] T& operator*() noexcept { return value_; }
    [[nodiscard]] const T& operator*() const noexcept { return value_; }
    [[nodiscard]] T* operator->() noexcept { return &value_; }
    [[nodiscard]] const T* operator->() const noexcept { return &value_; }

    Lease(LeaseTicket&& ticket, T&& value)
        : LeaseTicket(std::move(ticket)), value_(std::move(value)) {}

private:
    T value_;
};

/// A queue of tasks: what a worker got is delivered again until the worker says that it is done.
///
/// \code
///   mp::JoinableQueue<Job> jobs{64};
///   mp::Process worker{[&] {
///       for (auto& job : jobs) { run(*job, job.tries()); job.task_done(); }
///   }};
///   worker.start();
///   jobs.put(...);
///   jobs.join();     // all that was put is done
///   jobs.close();    // the workers' loops end
/// \endcode
///
/// Items are delivered in the order in which they were put; what comes back is delivered first.
/// The capacity bounds the items that wait. Items that are leased do not count, until there are
/// more than 256 of them.
///
/// A JoinableQueue is a handle: copies, and what a forked child inherits, mean the same queue.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle, none of the leases
/// \crash     put() returned: the item is delivered until somebody has called task_done() for it.
///            Killed inside put(): the item is there whole, or not at all. Killed between get() and
///            the end of task_done(): the item is delivered again, whole, with tries() one more;
///            or it is done
/// \cost      a compare-and-swap, an exchange and one copy each; no system call unless somebody
///            must sleep or be woken
template <Crossable T>
class JoinableQueue : public NamedQueue<JoinableQueue<T>, T> {
public:
    using multifork_describable = void;
    using value_type = T;

    /// \param capacity  items, at least 1
    /// \throws InvalidArgument, OutOfSharedMemory
    explicit JoinableQueue(std::size_t capacity) : JoinableQueue(make(layout(capacity))) {}

    /// Appends an item, waiting for room as long as it takes.
    /// \throws QueueClosed        when the queue is or becomes closed; nothing was put
    /// \throws OutOfSharedMemory  when the item outgrows its slot and the memory; nothing was put
    void put(const T& value) const {
        static_cast<void>(put_before(value, platform::Deadline::never()));
    }
    /// Appends if there is room now. \return whether it was put \throws as put()
    [[nodiscard]] bool try_put(const T& value) const {
        return put_before(value, platform::Deadline::poll());
    }
    /// Appends, waiting at most `wait` for room; zero or less does not wait. \throws as put()
    template <class Rep, class Period>
    [[nodiscard]] bool try_put_for(const T& value,
                                   const std::chrono::duration<Rep, Period>& wait) const {
        return put_before(value, platform::Deadline::after(wait));
    }

    /// Leases the oldest item, waiting for one as long as it takes.
    ///
    /// On a closed queue it waits as long as another thread holds a lease: that item may come back.
    /// \throws QueueClosed  when the queue is closed and nothing is queued or leased to others
    /// \throws CorruptSharedMemory, LayoutMismatch, NotFound  when the item's bytes are no T, or
    /// what a handle in it means is gone; the item is dropped, as nobody could ever read it
    [[nodiscard]] Lease<T> get() const {
        auto got = get_before(platform::Deadline::never());
        if (!got)
            throw QueueClosed("get() on a JoinableQueue that is closed and done; use try_get() or "
                              "a range-for loop, which end quietly");
        return std::move(*got);
    }
    /// Leases the oldest item if there is one. \return nothing when none is queued now
    [[nodiscard]] std::optional<Lease<T>> try_get() const {
        return get_before(platform::Deadline::poll());
    }
    /// Leases the oldest item, waiting at most `wait`; zero or less does not wait.
    /// \return nothing when time ran out, or the queue is closed and nothing can come
    template <class Rep, class Period>
    [[nodiscard]] std::optional<Lease<T>>
    try_get_for(const std::chrono::duration<Rep, Period>& wait) const {
        return get_before(platform::Deadline::after(wait));
    }

    /// Waits for a moment at which every item that was put is done, as long as it takes.
    ///
    /// A worker's death does not end the wait: its items are delivered again, and someone must be
    /// there to do them.
    void join() const {
        static_cast<void>(core::lease_join(tasks_->core(), platform::Deadline::never()));
    }
    /// The same, waiting at most `wait`. \return whether everything is done
    template <class Rep, class Period>
    [[nodiscard]] bool try_join_for(const std::chrono::duration<Rep, Period>& wait) const {
        return core::lease_join(tasks_->core(), platform::Deadline::after(wait));
    }

    /// No put succeeds from now on; everybody who waits learns it. What is queued or leased can
    /// still be done. Any process may close; twice is once.
    void close() const { core::lease_close(tasks_->core()); }
    [[nodiscard]] bool closed() const noexcept { return tasks_->core().header.closed.load() != 0; }

    /// Items that wait for a getter, those of dead workers included. \blocks never
    [[nodiscard]] std::size_t size() const noexcept { return counts().queued; }
    /// Items that are not done: queued or leased. \blocks never
    [[nodiscard]] std::size_t unfinished() const noexcept {
        const core::LeaseCounts now = counts();
        return now.queued + now.leased;
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return tasks_->layout().shape.capacity; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] bool full() const noexcept { return size() >= capacity(); }

    /// Goes through the items by leasing them; ends when the queue is closed and all is done.
    /// A step to the next item gives the last one back, unless task_done() was called for it.
    class iterator {
    public:
        using value_type = Lease<T>;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(const JoinableQueue& queue) : queue_(&queue) { ++*this; }
        Lease<T>& operator*() const noexcept { return *lease_; }
        iterator& operator++() {
            lease_.reset(); // before the wait for another: a thread's own lease is not waited for
            if (auto got = queue_->get_before(platform::Deadline::never()))
                lease_.emplace(std::move(*got));
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const noexcept { return !lease_.has_value(); }

    private:
        const JoinableQueue* queue_ = nullptr;
        mutable std::optional<Lease<T>> lease_;
    };
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// `<JoinableQueue 12/64 open, 15 unfinished>`
    [[nodiscard]] std::string to_string() const {
        return fmt::format("<JoinableQueue {}/{} {}, {} unfinished>", size(), capacity(),
                           closed() ? "closed" : "open", unfinished());
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind =
        !Shareable<T> ? arena::Kind::message_leases : arena::Kind::leases;
    [[nodiscard]] arena::Crossing crossing() const { return {tasks_->object(), {capacity(), 0}}; }
    static JoinableQueue arrive(const arena::Crossing& crossing) {
        const Layout made = layout(crossing.words[0]);
        arena::check_arrived(crossing, made.shape.bytes());
        return JoinableQueue(std::make_shared<const TaskQueue>(crossing.object, made));
    }
    /// @}

private:
    friend NamedQueue<JoinableQueue, T>;

    using Layout = TaskQueue::Layout;

    static Layout layout(std::size_t capacity) {
        return Layout::make(capacity, sizeof(T), !Shareable<T>);
    }
    static std::shared_ptr<const TaskQueue> make(const Layout& layout) {
        return std::make_shared<const TaskQueue>(
            arena::Object::make(layout.shape.bytes(), layout.kind(), [](std::byte*) {}), layout);
    }
    static JoinableQueue named(std::string_view name, arena::OpenMode mode, std::size_t capacity,
                               std::size_t message_bytes) {
        const Layout made = layout(capacity);
        const auto identity = NamedQueue<JoinableQueue, T>::identity_of(
            made.kind(), typeid(T).name(), made.shape.bytes(), capacity, message_bytes,
            "JoinableQueue");
        return JoinableQueue(std::make_shared<const TaskQueue>(
            arena::named_object(name, mode, identity, [](std::byte*) {}), made));
    }
    explicit JoinableQueue(std::shared_ptr<const TaskQueue> tasks) : tasks_(std::move(tasks)) {}

    [[nodiscard]] core::LeaseCounts counts() const noexcept {
        return core::lease_counts(tasks_->core());
    }

    bool put_before(const T& value, platform::Deadline deadline) const {
        core::LeaseResult result{};
        if constexpr (Shareable<T>) {
            const std::span<const std::byte> bytes = std::as_bytes(std::span(&value, 1));
            result = tasks_->put(bytes, deadline);
        } else {
            detail::Travellers travellers;
            MessageBuffer buffer;
            write_crossing(value, buffer.bytes());
            result = tasks_->put(buffer.message(), deadline);
            if (result == core::LeaseResult::done)
                travellers.arrived();
        }
        if (result == core::LeaseResult::closed)
            throw QueueClosed("put() on a closed JoinableQueue; whoever closes a queue must know "
                              "that nobody puts any more");
        return result == core::LeaseResult::done;
    }

    std::optional<Lease<T>> get_before(platform::Deadline deadline) const {
        core::LeaseToken token;
        if (tasks_->get(deadline, token) != core::LeaseResult::done)
            return std::nullopt;
        LeaseTicket ticket(tasks_, token); // gives it back should the next line throw
        try {
            return Lease<T>(std::move(ticket), read_crossing<T>(tasks_->bytes(token)));
        } catch (const Error& error) {
            // Nobody else could read it either: delivered again, it would never end.
            if (detail::stays_unreadable(error))
                ticket.task_done();
            throw;
        }
    }

    std::shared_ptr<const TaskQueue> tasks_;
};

} // namespace multifork

// size() says how many elements are queued at this moment, not how many a loop will take.
template <class T>
inline constexpr bool std::ranges::disable_sized_range<multifork::JoinableQueue<T>> = true;
