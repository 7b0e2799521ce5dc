#include "arena/pipe_end.hpp"

#include "arena/handover.hpp"
#include "arena/object_hold.hpp"
#include "arena/space_impl.hpp"
#include "platform/futex.hpp"
#include "platform/immortal.hpp"

#include <multifork/arena/message_slot.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace multifork::arena {

/// The ends that this process holds. Its mutex is taken before the heap's lock, and held over
/// forks.
struct PipeEnds {
    std::mutex mutex;
    std::vector<PipeEnd*> held;
    std::atomic<std::size_t> count{0};

    void add(PipeEnd* end) {
        const std::scoped_lock hold(mutex);
        held.push_back(end);
        count = held.size();
    }
    void give_up(PipeEnd* end) noexcept {
        const std::scoped_lock hold(mutex);
        if (std::erase(held, end) == 0)
            return;
        count = held.size();
        give_up_entry(*end);
    }
    static void give_up_entry(PipeEnd& end) noexcept {
        if (end.pid_ == platform::process_id())
            tree_space().impl().heap.leave_pipe(end.block(), std::exchange(end.entry_, {}));
    }
    void give_up_all() noexcept {
        const std::scoped_lock hold(mutex);
        std::erase_if(held, [](PipeEnd* end) {
            if (end->closed_.exchange(true))
                return false;
            if (end->pid_ == platform::process_id())
                end->wake_who_is_inside();
            // Threads that are inside an operation go on until the process has ended. Without an
            // entry the block could be freed below them, and be somebody else's memory.
            if (end->uses_.fetch_sub(1) != 1)
                return false;
            give_up_entry(*end);
            return true;
        });
        count = held.size();
    }
    void take_for_child(ProcessId born) noexcept {
        Heap& heap = tree_space().impl().heap;
        for (PipeEnd* end : held)
            if (!end->closed_)
                end->childs_entry_ =
                    heap.join_pipe(end->block(), born, static_cast<std::uint64_t>(end->role_));
    }
    void keep_in_child(bool recorded) noexcept {
        for (PipeEnd* end : held) {
            end->entry_ = recorded ? std::exchange(end->childs_entry_, {}) : Heap::PipeEntry{};
            end->pid_ = platform::process_id();
            // The threads that were inside operations are not here.
            end->uses_ = end->closed_ ? 0 : 1;
            if (end->entry_.word == 0)
                end->closed_ = true;
        }
    }
};

namespace {

constinit platform::Immortal<PipeEnds> all_ends;

constexpr std::size_t most_messages = 1u << 20;

Object attached(std::uint64_t offset) {
    auto hold = std::make_shared<Object::Hold>();
    hold->space = std::shared_ptr<Space>(std::shared_ptr<void>{}, &tree_space());
    hold->offset = offset; // and named: the ledger, not this handle, keeps the block
    return Object(std::move(hold));
}

[[noreturn]] void throw_full() {
    throw OutOfSharedMemory(fmt::format(
        "{} ends of this pipe are held already, and its ledger has no room for more; close those "
        "that are not needed, or use a Queue",
        core::PipeCell::capacity));
}

} // namespace

PipeEnd::PipeEnd(Object object, core::RingShape shape, core::PipeRole role, Heap::PipeEntry entry)
    : object_(std::move(object)), shape_(shape), role_(role),
      cell_(*reinterpret_cast<core::PipeCell*>(object_.data())), entry_(entry),
      pid_(platform::process_id()) {
    try {
        all_ends->add(this);
    } catch (...) {
        PipeEnds::give_up_entry(*this);
        throw;
    }
}

PipeEnd::~PipeEnd() {
    close();
    all_ends->give_up(this);
}

PipeEnd::Both PipeEnd::make(std::size_t capacity) {
    if (capacity == 0 || capacity > most_messages)
        throw InvalidArgument(
            fmt::format("a pipe for {} messages was asked for; it must be from 1 to {}", capacity,
                        most_messages));
    const core::RingShape shape{capacity, message_slot_bytes};
    Space::Impl& impl = tree_space().impl();
    Object object =
        Object::make(sizeof(core::PipeCell) + shape.bytes(), Kind::pipe, [](std::byte*) {});
    const ProcessId self = impl.self();
    const auto end = [&](core::PipeRole role) {
        const auto entry = impl.heap.join_pipe(object.offset() - sizeof(BlockHeader), self,
                                               static_cast<std::uint64_t>(role));
        return std::make_shared<PipeEnd>(object, shape, role, entry);
    };
    auto reader = end(core::PipeRole::reader);
    return {std::move(reader), end(core::PipeRole::writer)};
}

std::uint64_t PipeEnd::block() const noexcept {
    return object_.offset() - sizeof(BlockHeader);
}

PipeEnd::Reference PipeEnd::send_copy() {
    const Use use(*this);
    Space::Impl& impl = tree_space().impl();
    // For a process that is known already, it is that one's from now on: it outlives this one.
    const ProcessId destination = BoundFor::destination();
    const auto entry =
        impl.heap.join_pipe(block(), destination.serial != 0 ? destination : impl.self(),
                            static_cast<std::uint64_t>(role_) | core::pipe_travels_bit);
    if (entry.word == 0)
        throw_full();
    return {object_.offset(), shape_.capacity, entry.word, entry.index,
            static_cast<std::uint32_t>(role_)};
}

void PipeEnd::cancel(const Reference& reference) noexcept {
    tree_space().impl().heap.leave_pipe(reference.offset - sizeof(BlockHeader),
                                        {reference.index, reference.entry});
}

std::shared_ptr<PipeEnd> PipeEnd::receive(const Reference& reference) {
    Space& space = tree_space();
    const core::RingShape shape{reference.capacity, message_slot_bytes};
    if (reference.capacity == 0 || reference.capacity > most_messages || reference.role < 1 ||
        reference.role > 2 || (reference.entry & 3) != reference.role)
        throw CorruptSharedMemory("a message that should bring a Connection brings garbage; both "
                                  "sides must send and receive the same type");
    const Heap::PipeEntry entry =
        space.impl().heap.adopt_pipe(reference.offset - sizeof(BlockHeader), space.impl().self(),
                                     {reference.index, reference.entry});
    if (entry.word == 0)
        return nullptr;
    // Ours from here on; so the block stays, and its size can be looked at.
    try {
        static_cast<void>(space.checked(reference.offset, sizeof(core::PipeCell) + shape.bytes()));
        return std::make_shared<PipeEnd>(attached(reference.offset), shape,
                                         static_cast<core::PipeRole>(reference.role), entry);
    } catch (...) {
        space.impl().heap.leave_pipe(reference.offset - sizeof(BlockHeader), entry);
        throw;
    }
}

PipeEnd::Use::Use(PipeEnd& end) : end_(end) {
    if (!end.begin_use())
        throw ConnectionClosed("this end of the connection was closed in this process; use it "
                               "before close(), or copy what you need");
}

bool PipeEnd::begin_use() noexcept {
    uses_.fetch_add(1);
    if (!closed_)
        return true;
    end_use();
    return false;
}

void PipeEnd::end_use() noexcept {
    if (uses_.fetch_sub(1) == 1)
        all_ends->give_up(this);
}

void PipeEnd::close() noexcept {
    {
        // Not in the middle of a fork, which gives the child an entry of its own for each end that
        // is open: closed in between, nobody would ever give that one back.
        const std::scoped_lock hold(all_ends->mutex);
        if (closed_.exchange(true))
            return;
    }
    wake_who_is_inside();
    end_use();
}

void PipeEnd::wake_who_is_inside() noexcept {
    cell_.changes.fetch_add(1);
    platform::futex_wake(cell_.changes, platform::wake_everybody);
}

Heap::Holders PipeEnd::peers(liveness::Sleep* sleep) const noexcept {
    return tree_space().impl().heap.pipe_holders(cell_, other(), sleep);
}
bool PipeEnd::deserted() const {
    return tree_space().impl().heap.pipe_is_deserted(block(), other());
}

void leave_pipe_ends() noexcept {
    all_ends->give_up_all();
}
bool holds_pipe_ends() noexcept {
    return all_ends->count.load() != 0;
}

void lock_pipe_ends_for_fork() {
    if (!MULTIFORK_MUTANT(pipe_ends_unheld))
        all_ends->mutex.lock();
}
void take_pipe_ends_for_child(ProcessId born) noexcept {
    if (born.serial != 0)
        all_ends->take_for_child(born);
}
void unlock_pipe_ends_after_fork() noexcept {
    if (!MULTIFORK_MUTANT(pipe_ends_unheld))
        all_ends->mutex.unlock();
}
void keep_pipe_ends_in_child(bool recorded) noexcept {
    all_ends->keep_in_child(recorded);
}

} // namespace multifork::arena
