#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/channel/queue.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace multifork {

/// A queue with put(), get() and empty() and nothing else, as Python's SimpleQueue.
///
/// \code
///   mp::SimpleQueue<std::string> lines;
///   lines.put("one");  lines.get();
/// \endcode
///
/// close() gives up this process's use of the queue: its memory goes when the last user has closed
/// it or has ended. (Queue::close() is another thing: there nobody may put any more.)
///
/// \threads   distinct and shared objects are safe; close() while another thread uses the object
///            is not
/// \processes safe
/// \fork      the child inherits the handle, with a close() of its own
/// \crash, \cost  as Queue
template <Crossable T>
class SimpleQueue {
public:
    using multifork_describable = void;
    using value_type = T;

    /// What a queue has room for unless it is told: put() waits when so many items are in it.
    static constexpr std::size_t default_capacity = 1024;

    /// \throws InvalidArgument, OutOfSharedMemory
    explicit SimpleQueue(std::size_t capacity = default_capacity)
        : SimpleQueue(Queue<T>(capacity)) {}

    /// \name Named queues, for programs that are not related: as Queue's
    /// @{
    static SimpleQueue create(std::string_view name, std::size_t capacity = default_capacity) {
        return SimpleQueue(Queue<T>::create(name, capacity));
    }
    static SimpleQueue open(std::string_view name, std::size_t capacity = default_capacity) {
        return SimpleQueue(Queue<T>::open(name, capacity));
    }
    static SimpleQueue open_or_create(std::string_view name,
                                      std::size_t capacity = default_capacity) {
        return SimpleQueue(Queue<T>::open_or_create(name, capacity));
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }
    /// @}

    /// Appends an element, waiting for room. \throws QueueClosed after close(); as Queue::put()
    void put(const T& value) const { open_queue("put").put(value); }
    /// Takes the oldest element, waiting for one. \throws QueueClosed after close(); as
    /// Queue::get()
    [[nodiscard]] T get() const { return open_queue("get").get(); }
    /// \throws QueueClosed after close()
    [[nodiscard]] bool empty() const { return open_queue("empty").empty(); }

    /// Ends this process's use of the queue, through this handle and its copies; twice is once.
    void close() const noexcept { queue_->reset(); }

    /// `<SimpleQueue 3/1024>`, `<SimpleQueue closed>`
    [[nodiscard]] std::string to_string() const {
        if (!*queue_)
            return "<SimpleQueue closed>";
        return fmt::format("<SimpleQueue {}/{}>", (*queue_)->size(), (*queue_)->capacity());
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = Queue<T>::crossing_kind;
    [[nodiscard]] arena::Crossing crossing() const { return open_queue("crossing").crossing(); }
    static SimpleQueue arrive(const arena::Crossing& crossing) {
        return SimpleQueue(Queue<T>::arrive(crossing));
    }
    /// @}

private:
    explicit SimpleQueue(Queue<T> queue)
        : queue_(std::make_shared<std::optional<Queue<T>>>(std::move(queue))) {}

    [[nodiscard]] Queue<T>& open_queue(std::string_view what) const {
        if (!*queue_)
            throw QueueClosed(
                fmt::format("{}() on a SimpleQueue that is closed in this process", what));
        return **queue_;
    }

    std::shared_ptr<std::optional<Queue<T>>> queue_;
};

} // namespace multifork
