#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>

#include <algorithm>
#include <exception>
#include <limits>

namespace multifork::test::crash {

void require(bool condition, std::string_view otherwise) {
    if (!condition)
        throw Failure(std::string(otherwise));
}

std::uint64_t Round::result_of(std::size_t i, std::string_view otherwise) {
    require(partner(i).await_done(), otherwise);
    return partner(i).result();
}

std::size_t Round::partners_done() const {
    return static_cast<std::size_t>(
        std::count_if(partners_.begin(), partners_.end(), [](const auto& p) { return p->done(); }));
}

std::string Round::describe_partners() const {
    std::string text;
    for (const auto& partner : partners_)
        text += (text.empty() ? "partners: " : ", ") + partner->state();
    return text;
}

void Round::run(const Scenario& scenario, unsigned long k) {
    for (const auto* jobs : {&scenario.early, &scenario.behind, &scenario.late})
        for (const Job& job : *jobs)
            partners_.push_back(std::make_unique<Partner>(job));
    auto set_out = [&, next = std::size_t{0}](std::size_t count, bool must_sleep) mutable {
        for (; count > 0; --count) {
            Partner& partner = *partners_[next++];
            partner.set_out();
            partner.await_rest();
            require(!must_sleep || !partner.done(), "a partner was meant to fall asleep");
        }
    };

    Victim victim(scenario.prepare, scenario.operation);
    if (scenario.all_forked)
        scenario.all_forked();
    set_out(scenario.early.size(), true);
    if (scenario.wake) {
        victim.step_to_sleep();
        set_out(scenario.behind.size(), true);
        scenario.wake();
        victim.await_wake();
    }
    victim.step(k);
    set_out(scenario.late.size(), false);
    place_ = victim.place();
    steps_ = victim.steps();
    if (scenario.at_kill)
        scenario.at_kill();
    if (!scenario.nothing_owed_at_the_end || !finished())
        victim.kill();
    scenario.check(*this);
}

namespace {

std::string failure_text(const Scenario& scenario, const Round& round, unsigned long k,
                         const std::string& what) {
    std::string text = scenario.name + ", k=" + std::to_string(k) + ": " + what;
    if (const std::string partners = round.describe_partners(); !partners.empty())
        text += " | " + partners;
    if (scenario.state)
        text += " | " + scenario.state();
    return text;
}

} // namespace

class Campaign {
public:
    static void round(const Scenario& scenario, unsigned long k, Report& report) {
        arena::tree_space().sweep(); // what earlier rounds' dead have left
        scenario.set_up();
        Round round;
        const auto failed = [&](const std::string& what) {
            report.failures.push_back(failure_text(scenario, round, k, what));
        };
        try {
            round.run(scenario, k);
        } catch (const Failure& failure) {
            failed(failure.what());
        } catch (const std::exception& error) {
            failed(std::string("an exception reached the survivor: ") + error.what());
        }
        ++report.kills;
        report.instructions = std::max(report.instructions, round.steps());
    }
};

Report run(const Scenario& scenario, const Density& density) {
    Report report;
    report.name = scenario.name;
    const std::int64_t begin = now_ns();
    const auto enough = [&] { return report.failures.size() >= density.stop_after_failures; };
    // The first round goes to the end, and so measures the operation.
    Campaign::round(scenario, std::numeric_limits<unsigned long>::max(), report);
    const unsigned long length = report.instructions;
    const unsigned long stride =
        density.kills == 0 ? 1 : std::max<unsigned long>(1, length / density.kills);
    for (unsigned long k = 0; k < length && !enough(); k += stride)
        Campaign::round(scenario, k, report);
    report.seconds = static_cast<double>(now_ns() - begin) / 1e9;
    return report;
}

} // namespace multifork::test::crash
