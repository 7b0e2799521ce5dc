#include "arena/space_impl.hpp"

#include "arena/pipe_end.hpp"

#include <multifork/error.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace multifork::arena {

Space::Impl::Impl(int map_fd, const SegmentShape& shape, platform::Descriptor keep)
    : fd(std::move(keep)), mapping(map_fd, shape.bytes),
      domain(*reinterpret_cast<liveness::Registry*>(mapping.data() + registry_offset),
             shape.thread_slots),
      heap(mapping.data(), shape, fd.get(), domain) {
    domain.owner = this;
    domain.on_leave = [](liveness::Domain& d, liveness::ThreadWord me) noexcept {
        // A hint that is never too low: most threads hold no permits when they end.
        if (d.registry().beacons()[liveness::slot_of(me)].holdings.load(
                std::memory_order_relaxed) != 0)
            static_cast<Impl*>(d.owner)->heap.settle_semaphores(me);
        static_cast<Impl*>(d.owner)->hand_anchor_on(me);
    };
}

void Space::Impl::format(std::byte* base, const SegmentShape& shape) noexcept {
    auto& header = *reinterpret_cast<SegmentHeader*>(base);
    header.version = layout_version;
    header.pointer_bytes = sizeof(void*);
    header.byte_order = 0x0102;
    header.bytes = shape.bytes;
    header.thread_slots = shape.thread_slots;
    header.process_slots = shape.process_slots;
    header.pid_namespace = platform::pid_namespace();
    header.heap_begin = heap_offset(shape.thread_slots, shape.process_slots);
    auto& heap = *reinterpret_cast<HeapHeader*>(base + 512);
    heap.top = header.heap_begin;
    heap.committed = header.heap_begin;
}

ProcessId Space::Impl::self() {
    // Before the mutex: attaching may come back here.
    static_cast<void>(liveness::enter(domain));
    if (const auto known = self_if_any())
        return *known;
    const std::scoped_lock hold(making_self_);
    if (!self_if_any())
        know_self(heap.begin_process(0, platform::process_id(), Birth::forked));
    return *self_if_any();
}

std::optional<ProcessId> Space::Impl::self_if_any() const noexcept {
    // acquire: pairs with the store in know_self(). A process stores once, so the rest is its own.
    if (self_pid_.load(std::memory_order_acquire) != platform::process_id())
        return std::nullopt;
    return ProcessId{self_record_.load(std::memory_order_relaxed),
                     self_serial_.load(std::memory_order_relaxed)};
}

void Space::Impl::know_self(ProcessId self) noexcept {
    // relaxed: published by the last store
    self_record_.store(self.record, std::memory_order_relaxed);
    self_serial_.store(self.serial, std::memory_order_relaxed);
    self_pid_.store(platform::process_id(), std::memory_order_release);
}

void Space::Impl::become(ProcessId born) noexcept {
    if (!heap.is_current(born))
        return; // the first operation will make a record
    // Unless the parent has said it: in an inner pid namespace this process knows another number.
    std::uint32_t not_known = 0;
    heap.records()[born.record].pid.compare_exchange_strong(not_known, platform::process_id());
    know_self(born);
}

void Space::Impl::anchor_here() noexcept {
    const auto self = self_if_any();
    if (!self)
        return;
    const liveness::ThreadWord me = liveness::this_thread.seats[domain.index()].me;
    std::atomic<liveness::ThreadWord>& anchor = heap.records()[self->record].anchor;
    liveness::ThreadWord known = anchor.load();
    while (me != liveness::nobody &&
           (known == liveness::nobody || !liveness::is_alive(domain, known)) &&
           !anchor.compare_exchange_weak(known, me)) {
    }
}

void Space::Impl::hand_anchor_on(liveness::ThreadWord me) noexcept {
    const auto self = self_if_any();
    if (!self || heap.records()[self->record].anchor.load() != me)
        return;
    const liveness::Registry& registry = domain.registry();
    const std::uint32_t used = std::min(registry.high_water.load(), domain.capacity());
    liveness::ThreadWord next = liveness::nobody;
    for (std::uint32_t i = 0; i < used && next == liveness::nobody && holds_pipe_ends(); ++i) {
        const auto name = liveness::make_thread_word(i, registry.beacons()[i].generation.load());
        if (name != me && liveness::pid_of(domain, name) == platform::process_id())
            next = name;
    }
    heap.records()[self->record].anchor.store(next);
}

void Space::Impl::set_process_name(std::string_view name) {
    auto& stored = heap.records()[self().record].name;
    const std::size_t length = std::min(name.size(), stored.size() - 1);
    std::memcpy(stored.data(), name.data(), length);
    stored[length] = '\0';
}

Space::Space(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), base_(impl_->mapping.data()) {}
Space::~Space() = default;

Space::Impl* Space::release() noexcept {
    return impl_.release();
}

liveness::Domain& Space::domain() noexcept {
    return impl_->domain;
}

std::uint64_t Space::allocate(std::size_t bytes, Kind kind) {
    return impl_->heap.allocate(bytes, kind) + sizeof(BlockHeader);
}
void Space::free(std::uint64_t offset) noexcept {
    impl_->heap.free_own(offset - sizeof(BlockHeader));
}

void Space::give_to_process(std::uint64_t offset) {
    impl_->heap.give_to_process(offset - sizeof(BlockHeader), impl_->self());
}
void Space::drop(std::uint64_t offset) noexcept {
    // A process without a record owns nothing: its copies of handles came by fork.
    if (const auto self = impl_->self_if_any())
        impl_->heap.drop(offset - sizeof(BlockHeader), *self);
}

void Space::give_to_ring(std::uint64_t offset, std::uint64_t ring_offset,
                         std::uint64_t position) noexcept {
    impl_->heap.give_to_ring(offset - sizeof(BlockHeader), ring_offset - sizeof(BlockHeader),
                             position);
}
bool Space::take_from_ring(std::uint64_t offset, std::uint64_t ring_offset,
                           std::uint64_t position) noexcept {
    return impl_->heap.take_from_ring(offset - sizeof(BlockHeader),
                                      ring_offset - sizeof(BlockHeader), position);
}

void Space::keep_only(std::uint64_t ring_offset, std::span<const std::uint64_t> in_use) noexcept {
    impl_->heap.keep_only(ring_offset - sizeof(BlockHeader), in_use);
}

std::byte* Space::checked(std::uint64_t offset, std::size_t bytes) const {
    const std::uint64_t size = impl_->heap.size_at(offset - sizeof(BlockHeader));
    if (size == 0 || size - sizeof(BlockHeader) < bytes)
        throw CorruptSharedMemory(fmt::format("shared memory says that {} bytes lie at {:#x}, "
                                              "where no such block is: it was overwritten; "
                                              "look for a process that writes where it should not",
                                              bytes, offset));
    return at(offset);
}

void Space::sweep() noexcept {
    impl_->heap.sweep();
}
SpaceUsage Space::usage() const {
    return impl_->heap.usage();
}

namespace {

std::string name_of_pid(const Heap& heap, std::uint32_t pid) {
    for (std::uint32_t i = 0; i < heap.used_records(); ++i) {
        const ProcessRecord& record = heap.records()[i];
        if (record.serial == 0 || record.pid != pid)
            continue;
        return {record.name.data(), ::strnlen(record.name.data(), record.name.size())};
    }
    return {};
}

} // namespace

std::string Space::process_name(liveness::ThreadWord name) const {
    const std::uint32_t pid = liveness::pid_of(impl_->domain, name);
    if (pid == 0)
        return {};
    std::string found = name_of_pid(impl_->heap, pid);
    // In a named segment only the processes that opened it have a record; the arena knows the whole
    // tree.
    if (found.empty())
        if (Space* tree = tree_space_if_any(); tree != nullptr && tree != this)
            found = name_of_pid(tree->impl().heap, pid);
    return found;
}

} // namespace multifork::arena
