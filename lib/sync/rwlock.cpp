#include <multifork/error.hpp>
#include <multifork/sync/rwlock.hpp>

#include <fmt/format.h>

#include <utility>

namespace multifork {
namespace {

arena::Object make_cell() {
    return arena::Object::make(sizeof(core::RwLockCell), arena::Kind::rwlock, [](std::byte*) {});
}

[[noreturn]] void throw_owner_died() {
    throw OwnerDied("the thread that wrote under this lock died, and what the lock protects may be "
                    "half done; call recover() with a function that puts that right");
}

} // namespace

RWLock::RWLock(arena::Object object, on_owner_death policy)
    : cell_(reinterpret_cast<core::RwLockCell*>(object.data())), domain_(&object.space().domain()),
      on_death_(policy == on_owner_death::resume ? core::OnDeath::inherit : core::OnDeath::refuse),
      object_(std::move(object)) {}

RWLock::RWLock(on_owner_death policy) : RWLock(make_cell(), policy) {}

RWLock::RWLock(std::function<void()> repair) : RWLock(on_owner_death::resume) {
    repair_ = std::move(repair);
}

RWLock RWLock::named(std::string_view name, arena::OpenMode mode, on_owner_death policy) {
    arena::Identity identity;
    identity.kind = arena::Kind::rwlock;
    identity.type_name = "rwlock";
    identity.root_bytes = sizeof(core::RwLockCell);
    identity.what = "RWLock";
    return RWLock(arena::named_object(name, mode, identity, [](std::byte*) {}), policy);
}

RWLock RWLock::create(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::create, policy);
}
RWLock RWLock::open(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::open, policy);
}
RWLock RWLock::open_or_create(std::string_view name, on_owner_death policy) {
    return named(name, arena::OpenMode::open_or_create, policy);
}
bool RWLock::remove(std::string_view name) {
    return arena::remove_named(name);
}

void RWLock::run_repair(const std::function<void()>& repair) const {
    try {
        if (repair)
            repair();
        core::check_after_call(cell_->writer, liveness::enter(*domain_));
    } catch (...) {
        if (core::held_by(cell_->writer,
                          liveness::enter(*domain_))) // not in a child that it forked
            core::poison(cell_->writer);
        throw;
    }
    cell_->recoveries.fetch_add(1, std::memory_order_relaxed); // only counted
}

bool RWLock::lock_before(platform::Deadline deadline) const {
    switch (core::rwlock_lock(*cell_, *domain_, deadline, on_death_)) {
    case core::Acquired::clean:
        return true;
    case core::Acquired::inherited:
        run_repair(repair_);
        return true;
    case core::Acquired::timed_out:
        return false;
    case core::Acquired::would_deadlock:
        throw WouldDeadlock("lock() by a thread that reads or writes under this lock already: it "
                            "would wait for itself; unlock first, or use try_lock()");
    case core::Acquired::owner_dead:
        break;
    }
    throw_owner_died();
}

bool RWLock::lock_shared_before(platform::Deadline deadline) const {
    for (;;) {
        switch (core::rwlock_lock_shared(*cell_, *domain_, deadline, on_death_)) {
        case core::Shared::clean:
            return true;
        case core::Shared::inherited:
            run_repair(repair_);
            core::rwlock_unlock(*cell_);
            break; // and now read
        case core::Shared::timed_out:
            return false;
        case core::Shared::owner_dead:
            throw_owner_died();
        case core::Shared::would_deadlock:
            throw WouldDeadlock("lock_shared() by the thread that writes under this lock: it would "
                                "wait for itself; unlock first, or use try_lock_shared()");
        case core::Shared::full:
            throw TooManyThreads(fmt::format("{} threads read under this lock already, and it has "
                                             "room for no more; let some unlock_shared() first",
                                             core::max_readers));
        }
    }
}

void RWLock::unlock() const {
    if (!core::held_by(cell_->writer, liveness::enter(*domain_)))
        throw NotOwner(fmt::format("unlock() of a lock under which this thread does not write "
                                   "({}); who reads calls unlock_shared()",
                                   to_string()));
    core::rwlock_unlock(*cell_);
}

void RWLock::unlock_shared() const {
    if (!core::rwlock_unlock_shared(*cell_, *domain_))
        throw NotOwner(fmt::format("unlock_shared() of a lock under which this thread does not "
                                   "read ({}); who writes calls unlock()",
                                   to_string()));
}

bool RWLock::recover(const std::function<void()>& repair) const {
    if (!core::rwlock_inherit(*cell_, *domain_))
        return false;
    run_repair(repair);
    core::rwlock_unlock(*cell_);
    return true;
}

std::optional<Owner> RWLock::writer() const {
    for (;;) {
        const liveness::ThreadWord word = cell_->writer.word.load();
        const liveness::ThreadWord name = liveness::name_of(word);
        if (name == liveness::nobody || (word & liveness::one_store_bit) != 0)
            return std::nullopt; // it only waits for the readers to go
        Owner owner;
        owner.pid = static_cast<int>(liveness::pid_of(*domain_, name));
        owner.alive = owner.pid != 0;
        owner.process = object_.space().process_name(name);
        // Who has unlocked and ended since did not die with the lock.
        if (owner.alive || liveness::name_of(cell_->writer.word.load()) == name)
            return owner;
    }
}

std::size_t RWLock::readers() const noexcept {
    return core::rwlock_readers(*cell_, *domain_);
}

std::uint64_t RWLock::recoveries() const noexcept {
    return cell_->recoveries.load(std::memory_order_relaxed);
}

std::string RWLock::to_string() const {
    if (const auto who = writer()) {
        if (!who->alive)
            return "<RWLock owner died>";
        return fmt::format("<RWLock written by {}{}pid {}>", who->process,
                           who->process.empty() ? "" : " ", who->pid);
    }
    const std::size_t count = readers();
    return count == 0 ? "<RWLock free>" : fmt::format("<RWLock read by {}>", count);
}

arena::Crossing RWLock::crossing() const {
    if (repair_)
        throw NotShareable("a RWLock with a repair function cannot cross into another program: the "
                           "function means something here alone; make it without one, and call "
                           "recover() where OwnerDied is caught");
    return {object_, {on_death_ == core::OnDeath::inherit ? 1u : 0u, 0}};
}

RWLock RWLock::arrive(const arena::Crossing& crossing) {
    return RWLock(crossing.object,
                  crossing.words[0] != 0 ? on_owner_death::resume : on_owner_death::refuse);
}

} // namespace multifork
