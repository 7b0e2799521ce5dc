#include "platform/compiler_barrier.hpp"

#include <multifork/channel/container.hpp>
#include <multifork/channel/named_container.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace multifork::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // all under the container's lock

using platform::compiler_barrier;

} // namespace

// ---- elements' blocks
// ----------------------------------------------------------------------------------------------

Incoming::Incoming(arena::Space& space, const Outgoing& message)
    : space_(&space),
      word_(space.allocate(sizeof(std::uint64_t) + message.bytes.size(), arena::Kind::bytes)) {
    const std::uint64_t length = message.bytes.size();
    std::byte* const at = space.at(word_);
    std::memcpy(at, &length, sizeof length);
    if (length > 0)
        std::memcpy(at + sizeof length, message.bytes.data(), length);
    try {
        if (message.cargo != nullptr)
            message.cargo->load_onto(space, word_);
    } catch (...) {
        space.free(word_);
        throw;
    }
}

Incoming::Incoming(arena::Space& space, const Outgoing& message, Travellers& travellers)
    : Incoming(space, message) {
    travellers_ = travellers.take();
}

Incoming::~Incoming() {
    Travellers::cancel(travellers_);
    if (space_ != nullptr)
        space_->free(word_);
}

void Incoming::give(const arena::Object& container) noexcept {
    if (space_ != nullptr)
        space_->give_to_ring(word_, container.offset(), 0);
    space_ = nullptr;
    travellers_.clear();
}

std::span<const std::byte> Container::bytes_at(std::uint64_t word) const {
    std::uint64_t length = 0;
    const std::byte* const at = space().checked(word, sizeof length);
    std::memcpy(&length, at, sizeof length);
    if (length > std::uint64_t{1} << 47)
        corrupt();
    static_cast<void>(space().checked(word, sizeof length + length));
    return {at + sizeof length, static_cast<std::size_t>(length)};
}

void Container::discard(std::uint64_t word) const noexcept {
    if (space().take_from_ring(word, object_.offset(), 0))
        space().free(word);
}

void Container::change_root(std::uint64_t table) noexcept {
    const std::uint64_t old = root();
    if (MULTIFORK_MUTANT(free_old_first) && old != 0)
        discard(old);
    if (table != 0)
        space().give_to_ring(table, object_.offset(), 0);
    compiler_barrier();
    header_->root.store(table, relaxed); // COMMIT
    compiler_barrier();
    if (old != 0)
        discard(old);
}

// ---- the lock
// ----------------------------------------------------------------------------------------------

Container::Container(arena::Object object, const char* what) noexcept
    : object_(std::move(object)), header_(reinterpret_cast<core::ContainerHeader*>(object_.data())),
      domain_(&object_.space().domain()), domain_index_(domain_->index()), what_(what) {}
Container::~Container() = default;

Container::Guard::Guard(const Container& container) : container_(container) {
    const liveness::ThreadWord me = liveness::enter(*container.domain_, container.domain_index_);
    const core::Acquired got = core::lock(container.header_->lock, *container.domain_, me,
                                          platform::Deadline::never(), core::OnDeath::inherit);
    if (got != core::Acquired::clean) [[unlikely]]
        container.settle(got);
}

Container::Guard::~Guard() {
    core::unlock_after_call(container_.header_->lock,
                            liveness::enter(*container_.domain_, container_.domain_index_));
}

void Container::Guard::check_after_call() const {
    core::check_after_call(container_.header_->lock,
                           liveness::enter(*container_.domain_, container_.domain_index_));
}

void Container::settle(core::Acquired got) const {
    if (got != core::Acquired::inherited)
        throw WouldDeadlock(fmt::format(
            "an operation on a {} from within another one on the same {}, in a function that that "
            "one calls: it would wait for itself; use the argument that the function gets, or do "
            "this before or after",
            what_, what_));
    try {
        std::vector<std::uint64_t> in_use = mend();
        std::sort(in_use.begin(), in_use.end());
        if (!MULTIFORK_MUTANT(keep_leftovers))
            space().keep_only(object_.offset(), in_use);
    } catch (...) {
        core::poison(header_->lock); // the next locker tries again
        throw;
    }
    header_->repairs.fetch_add(1, relaxed);
}

arena::Object Container::arrived(const arena::Crossing& crossing) {
    arena::check_arrived(crossing, sizeof(core::ContainerHeader));
    return crossing.object;
}

std::uint64_t Container::repairs() const noexcept {
    return header_->repairs.load(relaxed);
}

void Container::corrupt() const {
    throw CorruptSharedMemory(
        fmt::format("a {} says of its elements what cannot be: its memory was overwritten; make a "
                    "new one, and look for a process that writes where it should not",
                    what_));
}

// ---- making
// ----------------------------------------------------------------------------------------------

arena::Object make_container(arena::Kind kind) {
    return arena::Object::make(sizeof(core::ContainerHeader), kind, [](std::byte*) {});
}

arena::Object named_container(std::string_view name, arena::OpenMode mode,
                              const ContainerIdentity& identity, std::size_t bytes) {
    arena::Identity wanted;
    wanted.kind = identity.kind;
    wanted.type_name = identity.type_name;
    wanted.root_bytes = sizeof(core::ContainerHeader);
    wanted.message_bytes = bytes;
    wanted.what = identity.what;
    return arena::named_object(name, mode, wanted, [](std::byte*) {});
}

} // namespace multifork::detail
