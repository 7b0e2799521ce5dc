#include <multifork/error.hpp>
#include <multifork/sync/rlock.hpp>

#include <fmt/format.h>

#include <utility>

namespace multifork {
namespace {

arena::Object make_block() {
    return arena::Object::make(sizeof(RLock::Block), arena::Kind::rlock, [](std::byte*) {});
}

RLock::Block* block_in(const arena::Object& object) noexcept {
    return reinterpret_cast<RLock::Block*>(object.data());
}

/// The repair runs with the lock held once, and may lock it further.
std::function<void()> held_once(RLock::Block* block, std::function<void()> repair) {
    return [block, repair = std::move(repair)] {
        block->depth.store(1, std::memory_order_relaxed); // only the owner reads it
        if (repair)
            repair();
    };
}

} // namespace

RLock::RLock(const arena::Object& object, on_owner_death policy)
    : block_(block_in(object)), lock_(object, &block_->lock, policy) {}

RLock::RLock(on_owner_death policy) : RLock(make_block(), policy) {}

RLock::RLock(const arena::Object& object, std::function<void()> repair)
    : block_(block_in(object)), lock_(object, &block_->lock, held_once(block_, std::move(repair))) {
}

RLock::RLock(std::function<void()> repair) : RLock(make_block(), std::move(repair)) {}

RLock RLock::named(std::string_view name, arena::OpenMode mode, on_owner_death policy) {
    arena::Identity identity;
    identity.kind = arena::Kind::rlock;
    identity.type_name = "rlock";
    identity.root_bytes = sizeof(Block);
    identity.what = "RLock";
    return RLock(arena::named_object(name, mode, identity, [](std::byte*) {}), policy);
}

RLock RLock::create(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::create, policy);
}
RLock RLock::open(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::open, policy);
}
RLock RLock::open_or_create(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::open_or_create, policy);
}
bool RLock::remove(std::string_view name) {
    return arena::remove_named(name);
}

void RLock::unlock() const {
    if (!held())
        throw NotOwner(fmt::format("unlock() of a recursive lock that this thread does not hold "
                                   "({}); only the thread that locked it may unlock it, and as "
                                   "often as it has locked it",
                                   to_string()));
    const std::uint64_t depth = block_->depth.load(std::memory_order_relaxed);
    if (depth > 1)
        block_->depth.store(depth - 1, std::memory_order_relaxed); // only this thread reads it
    else
        core::unlock(block_->lock.cell);
}

std::uint64_t RLock::depth() const {
    return held() ? block_->depth.load(std::memory_order_relaxed) : 0;
}

bool RLock::recover(const std::function<void()>& repair) const {
    return lock_.recover(held_once(block_, repair));
}

std::string RLock::to_string() const {
    std::string text = lock_.to_string();
    return text.insert(1, "R");
}

arena::Crossing RLock::crossing() const {
    return lock_.crossing_of_whole();
}

RLock RLock::arrive(const arena::Crossing& crossing) {
    return RLock(crossing.object,
                 crossing.words[0] != 0 ? on_owner_death::resume : on_owner_death::refuse);
}

} // namespace multifork
