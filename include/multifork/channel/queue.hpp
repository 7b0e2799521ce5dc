#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/message_slot.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/codec.hpp>
#include <multifork/channel/crossing.hpp>
#include <multifork/channel/message_ring.hpp>
#include <multifork/channel/named_queue.hpp>
#include <multifork/channel/travellers.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/core/ring_batch.hpp>
#include <multifork/format.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

namespace multifork {

/// What a queue's shared memory looks like, by its element type and capacity.
struct QueueLayout {
    core::RingShape shape;
    arena::Kind kind;

    /// \throws InvalidArgument for a capacity of 0 or one that no machine has memory for
    MULTIFORK_API static QueueLayout make(std::size_t capacity, std::size_t slot_bytes,
                                          arena::Kind kind);
};

/// A bounded first-in-first-out queue between any number of processes.
///
/// \code
///   mp::Queue<Frame> frames{64};
///   mp::Process camera{[&] { while (auto f = grab()) frames.put(*f); frames.close(); }};
///   camera.start();
///   for (const Frame& f : frames) show(f);
/// \endcode
///
/// A trivially copyable T travels in place, in a slot of its size. Anything else that the codec
/// knows (strings, containers, optionals, tuples, variants, plain structs of these) travels as a
/// message of any length: short ones in the slot, longer ones in a block of shared memory that
/// comes and goes with them.
///
/// A Queue is a handle, as are Lock, Value, Array and all their kin: copies, and what a forked
/// child inherits, mean the same queue, and const means the handle, as with std::shared_ptr. So a
/// closure may hold one by value. Order is first in, first out for the queue as a whole.
///
/// After close() nothing can be put; what is in the queue can still be got.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     put() returned: the item will be delivered exactly once, or is still queued, or dies
///            with the consumer that has it. Killed inside put(): the item is there whole, or not
///            at all. Killed inside get(): the item is still queued, or died with that consumer
/// \cost      a compare-and-swap, an exchange, one copy of the T; no system call unless somebody
///            must sleep or be woken
template <Crossable T>
class Queue : public NamedQueue<Queue<T>, T> {
public:
    using multifork_describable = void;
    using value_type = T;

    /// \param capacity  items, at least 1
    /// \throws InvalidArgument, OutOfSharedMemory
    explicit Queue(std::size_t capacity) : Queue(make(capacity), layout(capacity)) {}

    /// Appends an element, waiting for room as long as it takes.
    ///
    /// \throws QueueClosed        when the queue is or becomes closed; nothing was put
    /// \throws OutOfSharedMemory  when a message outgrows the slot and the memory; nothing was put
    /// and what T's copy or serialize() throws; nothing was put
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

    /// Takes the oldest element, waiting for one as long as it takes.
    /// \throws QueueClosed when the queue is closed and drained
    [[nodiscard]] T get() const {
        std::optional<T> got = get_before(platform::Deadline::never());
        if (!got)
            throw_drained();
        return std::move(*got);
    }
    /// Takes the oldest element if there is one. Whoever is in the middle of a get() is waited for:
    /// some hundred nanoseconds, or a tenth of a second at most if it was stopped there.
    /// \return nothing when the queue is empty now, or closed and drained
    [[nodiscard]] std::optional<T> try_get() const {
        return get_before(platform::Deadline::poll());
    }
    /// Takes the oldest element, waiting at most `wait`; zero or less does not wait.
    /// \return nothing when time ran out, or the queue is closed and drained
    template <class Rep, class Period>
    [[nodiscard]] std::optional<T>
    try_get_for(const std::chrono::duration<Rep, Period>& wait) const {
        return get_before(platform::Deadline::after(wait));
    }

    /// The same inside Boost.Asio, without a thread that waits: see multifork/asio.hpp, which must
    /// be included. `std::optional<T> item = co_await queue.async_get(boost::asio::use_awaitable)`
    template <class Token>
    auto async_get(Token&& token) const {
        return async_get_of(*this, std::forward<Token>(token));
    }

    /// \name Batches: as many as possible under one lock
    /// Each item is put, or taken, by itself: a process that is killed inside has put the first
    /// few, or taken the first few with it.
    /// @{

    /// Appends all elements of a range in their order, waiting for room as long as it takes.
    /// \return how many were put: all of them, or fewer when the queue was closed meanwhile
    /// \throws QueueClosed when it was closed before the first; else as put(), and then what was
    /// put before stays put
    template <std::ranges::input_range R>
        requires std::convertible_to<std::ranges::range_reference_t<R>, T> std::size_t
        put_many(R&& values)
    const { return put_range(values, platform::Deadline::never()); }
    /// Appends as many elements from the beginning of a range as there is room for now.
    /// \return how many \throws as put_many()
    template <std::ranges::input_range R>
        requires std::convertible_to<std::ranges::range_reference_t<R>, T>
    [[nodiscard]] std::size_t try_put_many(R&& values) const {
        return put_range(values, platform::Deadline::poll());
    }
    /// Takes the oldest elements, at least one and at most `most`, waiting for the first as long as
    /// it takes. \return them; none when the queue is closed and drained, or `most` is 0
    /// \throws as get(), if the bytes of one are no T; then the others of the batch are lost with
    /// it
    [[nodiscard]] std::vector<T> get_many(std::size_t most) const {
        return get_some(most, platform::Deadline::never());
    }
    /// Takes the elements that there are, at most `most`.
    [[nodiscard]] std::vector<T> try_get_many(std::size_t most) const {
        return get_some(most, platform::Deadline::poll());
    }
    /// Takes the oldest elements, at most `most`, waiting for the first at most `wait`.
    template <class Rep, class Period>
    [[nodiscard]] std::vector<T>
    try_get_many_for(std::size_t most, const std::chrono::duration<Rep, Period>& wait) const {
        return get_some(most, platform::Deadline::after(wait));
    }
    /// @}

    /// No put succeeds from now on; everybody who waits learns it. Any process may close; twice is
    /// once.
    void close() const { core::ring_close(*ring_, *domain_); }
    [[nodiscard]] bool closed() const noexcept { return core::ring_is_closed(*ring_); }

    /// Elements in the queue at this moment. \blocks never
    [[nodiscard]] std::size_t size() const noexcept {
        return core::ring_size(*ring_, layout_.shape);
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return layout_.shape.capacity; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] bool full() const noexcept { return size() == capacity(); }

    /// Goes through the elements by taking them; ends when the queue is closed and drained.
    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(const Queue& queue) : queue_(&queue) { ++*this; }
        const T& operator*() const noexcept { return *element_; }
        const T* operator->() const noexcept { return &*element_; }
        iterator& operator++() {
            element_ = queue_->get_before(platform::Deadline::never());
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const noexcept { return !element_.has_value(); }

    private:
        const Queue* queue_ = nullptr;
        std::optional<T> element_;
    };
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// \internal For who waits for several things (channel/waitable.hpp).
    /// @{
    [[nodiscard]] core::RingHeader& ring() const noexcept { return *ring_; }
    [[nodiscard]] const core::RingShape& shape() const noexcept { return layout_.shape; }
    [[nodiscard]] const arena::Object& object() const noexcept { return object_; }
    /// @}

    /// `<Queue 12/64 open>`
    [[nodiscard]] std::string to_string() const {
        return fmt::format("<Queue {}/{} {}>", size(), capacity(), closed() ? "closed" : "open");
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind =
        Shareable<T> ? arena::Kind::ring : arena::Kind::message_ring;
    [[nodiscard]] arena::Crossing crossing() const { return {object_, {capacity(), 0}}; }
    static Queue arrive(const arena::Crossing& crossing) {
        const QueueLayout made = layout(crossing.words[0]);
        arena::check_arrived(crossing, made.shape.bytes());
        return Queue(crossing.object, made);
    }
    /// @}

private:
    friend NamedQueue<Queue, T>;

    static constexpr std::size_t slot_bytes =
        Shareable<T> ? (sizeof(T) + 7) / 8 * 8 : arena::message_slot_bytes;
    static_assert(!Shareable<T> || alignof(T) <= 64,
                  "a queue's slots are aligned to 64 bytes at most");

    static QueueLayout layout(std::size_t capacity) {
        // An over-aligned T needs slots of a multiple of its alignment.
        constexpr std::size_t align = Shareable<T> ? (alignof(T) > 8 ? alignof(T) : 8) : 8;
        return QueueLayout::make(capacity, (slot_bytes + align - 1) / align * align,
                                 Shareable<T> ? arena::Kind::ring : arena::Kind::message_ring);
    }
    static arena::Object make(std::size_t capacity) {
        const QueueLayout made = layout(capacity);
        return arena::Object::make(made.shape.bytes(), made.kind, [](std::byte*) {});
    }
    static Queue named(std::string_view name, arena::OpenMode mode, std::size_t capacity,
                       std::size_t message_bytes) {
        const QueueLayout made = layout(capacity);
        const auto identity = NamedQueue<Queue, T>::identity_of(
            made.kind, typeid(T).name(), made.shape.bytes(), capacity, message_bytes, "Queue");
        return Queue(arena::named_object(name, mode, identity, [](std::byte*) {}), made);
    }

    Queue(arena::Object object, const QueueLayout& layout)
        : ring_(reinterpret_cast<core::RingHeader*>(object.data())),
          domain_(&object.space().domain()), layout_(layout), object_(std::move(object)) {}

    bool put_before(const T& value, platform::Deadline deadline) const {
        core::RingResult result{};
        if constexpr (Shareable<T>) {
            result = core::ring_put(*ring_, layout_.shape, *domain_, deadline,
                                    [&](std::byte* slot) { std::memcpy(slot, &value, sizeof(T)); });
        } else {
            detail::Travellers travellers;
            MessageBuffer buffer;
            write_crossing(value, buffer.bytes());
            result = message_put(*ring_, layout_.shape, object_, deadline, buffer.message());
            if (result == core::RingResult::done)
                travellers.arrived();
        }
        if (result == core::RingResult::closed)
            throw_closed();
        return result == core::RingResult::done;
    }

    std::optional<T> get_before(platform::Deadline deadline) const {
        if constexpr (Shareable<T>) {
            std::optional<T> got; // nothing is read unless something is got
            static_cast<void>(core::ring_get(
                *ring_, layout_.shape, *domain_, deadline,
                [&](const std::byte* slot) {
                    alignas(T) std::array<std::byte, sizeof(T)> bytes;
                    std::memcpy(bytes.data(), slot, sizeof(T));
                    got.emplace(std::bit_cast<T>(bytes));
                },
                [](std::byte*) {}));
            return got;
        } else {
            Message message;
            if (!message_get(*ring_, layout_.shape, object_, deadline, message))
                return std::nullopt;
            return read_crossing<T>(message.bytes());
        }
    }

    /// Puts some of the elements, at most a batch. \return 0 when time ran out or, after the first
    /// batch, when the queue was closed
    template <class Put>
    static std::size_t put_batches(std::size_t size, platform::Deadline deadline, Put put) {
        std::size_t done = 0;
        while (done < size) {
            const core::RingBatch batch = put(done, deadline);
            if (batch.result == core::RingResult::closed && done == 0)
                throw_closed();
            if (batch.result != core::RingResult::done)
                break;
            done += static_cast<std::size_t>(batch.count);
        }
        return done;
    }
    template <class R>
    std::size_t put_range(R& values, platform::Deadline deadline) const {
        if constexpr (Shareable<T>) {
            std::vector<Holder> copies;
            for (auto&& value : values)
                copies.push_back({static_cast<T>(value)});
            return put_batches(copies.size(), deadline, [&](std::size_t from, auto until) {
                return core::ring_put_some(
                    *ring_, layout_.shape, *domain_, until, copies.size() - from,
                    [&](std::uint64_t i, std::byte* slot) {
                        std::memcpy(slot, &copies[from + i].value, sizeof(T));
                    });
            });
        } else if constexpr (detail::Cross<T>::brings_handles) {
            // Each in a message with holds of its own.
            std::size_t done = 0;
            for (auto&& value : values) {
                const T& item = value;
                if (!put_before(item, deadline))
                    break;
                ++done;
            }
            return done;
        } else {
            detail::Travellers travellers;
            std::vector<std::vector<std::byte>> messages;
            std::vector<std::size_t> departed; // with each message and those before it
            for (auto&& value : values) {
                const T& item = value;
                encode(item, messages.emplace_back());
                departed.push_back(travellers.count());
            }
            const std::span<const std::vector<std::byte>> all(messages);
            return put_batches(messages.size(), deadline, [&](std::size_t from, auto until) {
                const core::RingBatch batch =
                    message_put_some(*ring_, layout_.shape, object_, until, all.subspan(from));
                if (batch.count > 0)
                    travellers.arrived(departed[from + batch.count - 1]);
                return batch;
            });
        }
    }
    struct Holder { // not a vector<bool>
        T value;
    };

    std::vector<T> get_some(std::size_t most, platform::Deadline deadline) const {
        std::vector<T> got;
        if (most == 0)
            return got;
        if constexpr (Shareable<T>) {
            got.reserve(most < capacity() ? most : capacity()); // nothing throws under the lock
            static_cast<void>(core::ring_get_some(
                *ring_, layout_.shape, *domain_, deadline, most,
                [&](std::uint64_t, const std::byte* slot) {
                    alignas(T) std::array<std::byte, sizeof(T)> bytes;
                    std::memcpy(bytes.data(), slot, sizeof(T));
                    got.push_back(std::bit_cast<T>(bytes));
                },
                [](std::uint64_t, std::byte*) {}));
        } else {
            std::deque<Message> messages;
            static_cast<void>(
                message_get_some(*ring_, layout_.shape, object_, deadline, most, messages));
            got.reserve(messages.size());
            for (const Message& message : messages)
                got.push_back(read_crossing<T>(message.bytes()));
        }
        return got;
    }

    [[noreturn]] static void throw_closed() {
        throw QueueClosed(
            "put() on a closed queue; whoever closes a queue must know that nobody puts any more");
    }
    [[noreturn]] static void throw_drained() {
        throw QueueClosed(
            "get() on a queue that is closed and drained; use try_get() or a range-for loop, "
            "which end quietly");
    }

    core::RingHeader* ring_;
    liveness::Domain* domain_;
    QueueLayout layout_;
    arena::Object object_;
};

} // namespace multifork

// size() says how many elements are queued at this moment, not how many a loop will take.
template <class T>
inline constexpr bool std::ranges::disable_sized_range<multifork::Queue<T>> = true;
