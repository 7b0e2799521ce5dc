#include <multifork/error.hpp>
#include <multifork/sync/barrier.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace multifork {
namespace {

std::uint32_t checked_parties(std::size_t parties) {
    if (parties < 1 || parties > core::max_barrier_parties)
        throw InvalidArgument(fmt::format("a barrier for {} parties was asked for; 1 to {} will do",
                                          parties, core::max_barrier_parties));
    return static_cast<std::uint32_t>(parties);
}

void nothing(std::byte*) {}

/// A limit that is over before it begins: every later reader takes it for what it is.
std::optional<std::chrono::nanoseconds>
not_negative(std::optional<std::chrono::nanoseconds> limit) {
    return limit ? std::max(*limit, std::chrono::nanoseconds::zero()) : limit;
}

[[noreturn]] void throw_broken() {
    throw BrokenBarrier(
        "the parties will not all meet at this barrier: one of them died there or came too late, "
        "its action threw, or somebody called abort() or reset(); when all have heard of it, call "
        "reset() and meet anew");
}

} // namespace

Barrier::Barrier(arena::Object object, std::uint32_t parties, std::function<void()> action,
                 Timeout timeout)
    : cell_(reinterpret_cast<core::BarrierCell*>(object.data())), parties_(parties),
      domain_(&object.space().domain()), object_(std::move(object)), action_(std::move(action)),
      timeout_(not_negative(timeout)) {}

Barrier::Barrier(std::size_t parties, std::function<void()> action, Timeout timeout)
    : Barrier(arena::Object::make(core::barrier_bytes(checked_parties(parties)),
                                  arena::Kind::barrier, nothing),
              checked_parties(parties), std::move(action), timeout) {}

Barrier Barrier::named(std::string_view name, arena::OpenMode mode, std::size_t parties,
                       std::function<void()> action, Timeout timeout) {
    arena::Identity identity;
    identity.kind = arena::Kind::barrier;
    identity.type_name = "barrier";
    identity.root_bytes = core::barrier_bytes(checked_parties(parties));
    identity.parameters[0] = parties;
    identity.what = "Barrier";
    return Barrier(arena::named_object(name, mode, identity, nothing), checked_parties(parties),
                   std::move(action), timeout);
}

Barrier Barrier::create(std::string_view name, std::size_t parties, std::function<void()> action,
                        Timeout timeout) {
    return named(name, arena::OpenMode::create, parties, std::move(action), timeout);
}
Barrier Barrier::open(std::string_view name, std::size_t parties, std::function<void()> action,
                      Timeout timeout) {
    return named(name, arena::OpenMode::open, parties, std::move(action), timeout);
}
Barrier Barrier::open_or_create(std::string_view name, std::size_t parties,
                                std::function<void()> action, Timeout timeout) {
    return named(name, arena::OpenMode::open_or_create, parties, std::move(action), timeout);
}
bool Barrier::remove(std::string_view name) {
    return arena::remove_named(name);
}

std::size_t Barrier::arrive_and_wait() const {
    return arrive_before(timeout_ ? platform::Deadline::after(*timeout_)
                                  : platform::Deadline::never());
}

void Barrier::run_action(std::uint32_t round) const {
    if (!action_)
        return;
    const liveness::ThreadWord me = liveness::enter(*domain_);
    try {
        action_();
        if (liveness::enter(*domain_) != me)
            core::throw_forked();
    } catch (...) {
        if (liveness::enter(*domain_) == me) // not in a child that it forked
            core::barrier_break(view(), round);
        throw;
    }
}

std::size_t Barrier::arrive_before(platform::Deadline deadline) const {
    const core::BarrierArrival arrival = core::barrier_arrive(view(), deadline);
    core::BarrierState end = arrival.state;
    if (end == core::BarrierState::would_deadlock)
        throw WouldDeadlock("a barrier's action arrives at this barrier: it would wait for itself; "
                            "let it do without");
    if (end == core::BarrierState::late)
        throw BrokenBarrier(
            "the time ran out before this party could arrive: the action of the "
            "round before is still running; the barrier is not broken, arrive again");
    if (end == core::BarrierState::last) {
        run_action(arrival.round);
        end = core::barrier_pass(view(), arrival.round);
    } else if (end == core::BarrierState::waiting) {
        end = core::barrier_wait(view(), arrival.round, deadline);
    }
    if (end != core::BarrierState::passed)
        throw_broken();
    return arrival.index;
}

std::string Barrier::to_string() const {
    return broken() ? "<Barrier broken>" : fmt::format("<Barrier {}/{}>", waiting(), parties_);
}

arena::Crossing Barrier::crossing() const {
    if (action_)
        throw NotShareable("a Barrier with an action cannot cross into another program: the action "
                           "means something here alone; let the party that gets index 0 do it");
    return {object_, {parties_, static_cast<std::uint64_t>(timeout_ ? timeout_->count() : -1)}};
}

Barrier Barrier::arrive(const arena::Crossing& crossing) {
    const std::uint32_t parties = checked_parties(crossing.words[0]);
    arena::check_arrived(crossing, core::barrier_bytes(parties));
    const auto timeout = static_cast<std::int64_t>(crossing.words[1]);
    return Barrier(crossing.object, parties, {},
                   timeout < 0 ? Timeout{} : std::chrono::nanoseconds(timeout));
}

} // namespace multifork
