#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/error.hpp>
#include <multifork/lab/step_gate.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>

namespace multifork::lab {
namespace {

constexpr std::size_t header_bytes = 64;
constexpr std::uint32_t last_bit = 1U << 31;
constexpr std::uint32_t open_gate = last_bit - 1;

arena::Object make(std::size_t parts) {
    if (parts == 0 || parts > 1024)
        throw InvalidArgument(
            fmt::format("a step gate for {} parts cannot be; ask for 1 to 1024", parts));
    return arena::Object::make(header_bytes + parts * sizeof(StepGate::Cell), arena::Kind::trace,
                               [](std::byte*) {});
}

} // namespace

StepGate::StepGate(std::size_t parts) : parts_(parts), director_(0), object_(make(parts)) {
    director_ = liveness::enter(object_.space().domain());
    *reinterpret_cast<liveness::ThreadWord*>(object_.data()) = director_;
}

StepGate::Cell& StepGate::cell(std::size_t index) const noexcept {
    return reinterpret_cast<Cell*>(object_.data() + header_bytes)[index];
}

StepGate::Part StepGate::part(std::size_t index) const {
    if (index >= parts_)
        throw InvalidArgument(fmt::format("part {} of a step gate for {}", index, parts_));
    return {*this, cell(index)};
}

StepGate::Part::Part(const StepGate& gate, Cell& cell) : gate_(&gate), cell_(&cell) {
    cell_->name.store(liveness::enter(gate.object_.space().domain()));
}

void StepGate::Part::arrive(std::uint32_t bits) noexcept {
    cell_->arrivals.store(++arrivals_ | bits); // COMMIT
    platform::futex_wake(cell_->arrivals, platform::wake_everybody);
}

void StepGate::Part::step(const Step& next) {
    liveness::Domain& domain = gate_->object_.space().domain();
    if (cell_->turns.load() == open_gate)
        return;
    static_cast<void>(liveness::enter(domain)); // the bell, for the wake-up that is owed
    if (!MULTIFORK_MUTANT(arrive_first))
        cell_->next = next;
    arrive(0);
    if (MULTIFORK_MUTANT(arrive_first))
        cell_->next = next;
    for (;;) {
        liveness::Sleep sleep(domain);
        const std::uint32_t turns = cell_->turns.load();
        if (turns >= arrivals_)
            return;
        sleep.while_equal(cell_->turns, turns);
        if (!sleep.while_alive(gate_->director_))
            throw Error(std::errc::owner_dead,
                        "the process that directed this step gate has died: nobody will allow "
                        "another step");
        static_cast<void>(sleep.wait(platform::Deadline::never()));
    }
}

void StepGate::Part::leave() noexcept {
    if ((cell_->arrivals.load() & last_bit) == 0)
        arrive(last_bit);
}

Standing StepGate::look(std::size_t index) const noexcept {
    const Cell& at = cell(index);
    const liveness::ThreadWord name = at.name.load();
    // Asked first: what a dead part had committed is then seen below.
    const bool lives =
        name == liveness::nobody || liveness::is_alive(object_.space().domain(), name);
    const std::uint32_t arrivals = at.arrivals.load();
    if ((arrivals & last_bit) != 0)
        return Standing::gone;
    if (!lives)
        return Standing::dead;
    return arrivals > at.turns.load() ? Standing::parked : Standing::running;
}

Standing StepGate::wait(std::size_t index) const {
    liveness::Domain& domain = object_.space().domain();
    const Cell& at = cell(index);
    static_cast<void>(liveness::enter(domain));
    for (;;) {
        liveness::Sleep sleep(domain);
        const std::uint32_t arrivals = at.arrivals.load();
        const liveness::ThreadWord name = at.name.load();
        const Standing standing = look(index);
        if (standing != Standing::running)
            return standing;
        sleep.while_equal(at.arrivals, arrivals);
        if (name != liveness::nobody && !MULTIFORK_MUTANT(deaf_director) &&
            !sleep.while_alive(name))
            continue; // look() will say so
        static_cast<void>(sleep.wait(platform::Deadline::never()));
    }
}

Step StepGate::next(std::size_t index) const noexcept {
    // The acquire of arrivals in look(), seq_cst, is what makes it whole.
    return cell(index).next;
}

void StepGate::permit(std::size_t index, std::uint32_t turns) {
    static_cast<void>(liveness::enter(object_.space().domain())); // the bell, as above
    cell(index).turns.store(turns);                               // COMMIT
    platform::futex_wake(cell(index).turns, platform::wake_everybody);
}

void StepGate::allow(std::size_t index) {
    const std::uint32_t turns = cell(index).turns.load();
    if (turns != open_gate)
        permit(index, turns + 1);
}

void StepGate::open(std::size_t index) {
    permit(index, open_gate);
}

} // namespace multifork::lab
