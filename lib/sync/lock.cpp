#include <multifork/sync/lock.hpp>

#include <fmt/format.h>

#include <utility>

namespace multifork {
namespace {

core::OnDeath to_core(on_owner_death policy) noexcept {
    return policy == on_owner_death::resume ? core::OnDeath::inherit : core::OnDeath::refuse;
}

arena::Object make_block() {
    return arena::Object::make(sizeof(Lock::Block), arena::Kind::lock, [](std::byte*) {});
}

Lock::Block* block_in(const arena::Object& object) noexcept {
    return reinterpret_cast<Lock::Block*>(object.data());
}

} // namespace

Lock::Lock(arena::Object object, Block* block, on_owner_death policy)
    : block_(block), domain_(&object.space().domain()), domain_index_(domain_->index()),
      on_death_(to_core(policy)), object_(std::move(object)) {}

Lock::Lock(arena::Object object, Block* block, std::function<void()> repair)
    : Lock(std::move(object), block, on_owner_death::resume) {
    repair_ = std::move(repair);
}

Lock::Lock(on_owner_death policy) : Lock(make_block(), nullptr, policy) {
    block_ = block_in(object_);
    is_part_ = false;
}

Lock::Lock(std::function<void()> repair) : Lock(on_owner_death::resume) {
    repair_ = std::move(repair);
}

arena::Identity Lock::identity() noexcept {
    arena::Identity identity;
    identity.kind = arena::Kind::lock;
    identity.type_name = "lock";
    identity.root_bytes = sizeof(Block);
    identity.what = "Lock";
    return identity;
}

Lock Lock::named(std::string_view name, arena::OpenMode mode, on_owner_death policy) {
    arena::Object object = arena::named_object(name, mode, identity(), [](std::byte*) {});
    Lock lock(object, block_in(object), policy);
    lock.is_part_ = false;
    return lock;
}

Lock Lock::create(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::create, policy);
}
Lock Lock::open(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::open, policy);
}
Lock Lock::open_or_create(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::open_or_create, policy);
}
bool Lock::remove(std::string_view name) {
    return arena::remove_named(name);
}

bool Lock::try_lock_before(platform::Deadline deadline) const {
    const liveness::ThreadWord me = liveness::enter(*domain_);
    const core::Acquired got = core::lock(block_->cell, *domain_, me, deadline, on_death_);
    return got == core::Acquired::clean || settle(got);
}

bool Lock::settle(core::Acquired got) const {
    switch (got) {
    case core::Acquired::clean:
        return true;
    case core::Acquired::timed_out:
        return false;
    case core::Acquired::inherited:
        run_repair(repair_);
        return true;
    case core::Acquired::would_deadlock:
    case core::Acquired::owner_dead:
        break;
    }
    throw_for(got);
}

void Lock::throw_for(core::Acquired got) const {
    if (got == core::Acquired::would_deadlock)
        throw WouldDeadlock("lock() by the thread that holds this lock already: it would wait for "
                            "itself; unlock first, or "
                            "use try_lock()");
    throw OwnerDied(
        "the owner of this lock died while it held it, and what it protects may be half done; call "
        "recover() with a function that puts that right");
}

void Lock::run_repair(const std::function<void()>& repair) const {
    try {
        if (repair)
            repair();
        core::check_after_call(block_->cell, liveness::enter(*domain_));
    } catch (...) {
        if (core::held_by(block_->cell, liveness::enter(*domain_))) // not in a child that it forked
            core::poison(block_->cell);
        throw;
    }
    block_->recoveries.fetch_add(1, std::memory_order_relaxed);
}

bool Lock::recover(const std::function<void()>& repair) const {
    if (!core::inherit_from_dead(block_->cell, *domain_, liveness::enter(*domain_)))
        return false;
    run_repair(repair);
    core::unlock(block_->cell);
    return true;
}

void Lock::throw_not_owner() const {
    throw NotOwner(
        fmt::format("unlock() of a lock that this thread does not hold ({}); only the thread that "
                    "locked it may unlock it",
                    describe_owner()));
}

std::optional<Owner> Lock::owner() const {
    for (;;) {
        const liveness::ThreadWord name = liveness::name_of(block_->cell.word.load());
        if (name == liveness::nobody)
            return std::nullopt;
        Owner owner;
        owner.pid = static_cast<int>(liveness::pid_of(*domain_, name));
        owner.alive = owner.pid != 0;
        owner.process = object_.space().process_name(name);
        // Who has unlocked and ended since did not die with the lock.
        if (owner.alive || liveness::name_of(block_->cell.word.load()) == name)
            return owner;
    }
}

std::uint64_t Lock::recoveries() const noexcept {
    return block_->recoveries.load(std::memory_order_relaxed);
}

std::string Lock::describe_owner() const {
    const auto who = owner();
    if (!who)
        return "free";
    if (!who->alive)
        return "owner died";
    return fmt::format("held by {}{}pid {}", who->process, who->process.empty() ? "" : " ",
                       who->pid);
}

std::string Lock::to_string() const {
    return fmt::format("<Lock {}>", describe_owner());
}

arena::Crossing Lock::crossing() const {
    if (is_part_)
        throw NotShareable("the lock of a Value or an Array cannot cross by itself: give the Value "
                           "or the Array, and call its get_lock() there");
    return crossing_of_whole();
}

arena::Crossing Lock::crossing_of_whole() const {
    if (repair_)
        throw NotShareable("a Lock with a repair function cannot cross into another program: the "
                           "function means something here alone; make it without one, and call "
                           "recover() where OwnerDied is caught");
    return {object_, {on_death_ == core::OnDeath::inherit ? 1u : 0u, 0}};
}

Lock Lock::arrive(const arena::Crossing& crossing) {
    Lock lock(crossing.object, block_in(crossing.object),
              crossing.words[0] != 0 ? on_owner_death::resume : on_owner_death::refuse);
    lock.is_part_ = false;
    return lock;
}

} // namespace multifork
