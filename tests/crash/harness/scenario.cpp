#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>

#include <algorithm>
#include <cstdlib>
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

void Round::expect_all_done(std::string_view otherwise) {
    for (std::size_t i = 0; i < partner_count(); ++i)
        static_cast<void>(result_of(i, otherwise));
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

void Round::run(const Scenario& scenario, unsigned long k, Path& path) {
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
        victim.run_to_sleep();
        set_out(scenario.behind.size(), true);
        scenario.wake();
        victim.await_wake();
    }
    strayed_ = !victim.go(k, path);
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
    std::string text =
        scenario.name + ", k=" + std::to_string(k) + (round.strayed() ? ", astray: " : ": ") + what;
    if (const std::string partners = round.describe_partners(); !partners.empty())
        text += " | " + partners;
    if (scenario.state)
        try {
            text += " | " + scenario.state();
        } catch (const std::exception& error) {
            text += std::string(" | its state cannot be told: ") + error.what();
        }
    return text;
}

} // namespace

class Campaign {
public:
    Campaign(const Scenario& scenario, Report& report) : scenario_(scenario), report_(report) {}

    void kill_at(unsigned long k) {
        if (!round(k))
            return;
        // It went another way than before. Once more, by single steps, which learn the new way.
        ++report_.strayed;
        path_ = {};
        static_cast<void>(round(k));
    }
    /// To the end of the operation, which measures it.
    void kill_at_the_end() { kill_at(std::numeric_limits<unsigned long>::max()); }
    /// Whether the operation of the last round had returned, or slept, before the kill.
    [[nodiscard]] bool over() const { return over_; }

private:
    /// \return whether the victim strayed
    bool round(unsigned long k) {
        stay_on_one_core();
        arena::tree_space().sweep(); // what earlier rounds' dead have left
        scenario_.set_up();
        Round round;
        const auto failed = [&](const std::string& what) {
            report_.failures.push_back(failure_text(scenario_, round, k, what));
        };
        try {
            round.run(scenario_, k, path_);
        } catch (const Failure& failure) {
            failed(failure.what());
        } catch (const std::exception& error) {
            failed(std::string("an exception reached the survivor: ") + error.what());
        }
        ++report_.kills;
        over_ = round.finished() || round.died_asleep();
        report_.instructions = std::max(report_.instructions, round.steps());
        return round.strayed();
    }

    const Scenario& scenario_;
    Report& report_;
    Path path_;
    bool over_ = false;
};

unsigned long seeded(unsigned long end) {
    static const unsigned long seed = [] {
        const char* const text = std::getenv("MULTIFORK_CRASH_SEED");
        return text != nullptr ? std::strtoul(text, nullptr, 10)
                               : static_cast<unsigned long>(now_ns() / 1'000);
    }();
    return seed % end;
}

std::vector<unsigned long> places_in(unsigned long length, unsigned long count) {
    const unsigned long stride = count == 0 ? 1 : std::max<unsigned long>(1, length / count);
    std::vector<unsigned long> places{0};
    for (unsigned long place = seeded(stride); place < length; place += stride)
        if (place > 0)
            places.push_back(place);
    places.push_back(length);
    return places;
}

Report run(const Scenario& scenario, const Density& density) {
    Report report;
    report.name = scenario.name;
    const std::int64_t begin = now_ns();
    const auto enough = [&] { return report.failures.size() >= density.stop_after_failures; };
    Campaign campaign(scenario, report);
    // Two rounds to the end measure the operation: behind a death it may be longer than in a
    // fresh world, since it finds what the dead have left.
    campaign.kill_at_the_end();
    campaign.kill_at(report.instructions / 2);
    campaign.kill_at_the_end();
    const unsigned long length = report.instructions;
    if (length > 0)
        for (const unsigned long k : places_in(length - 1, density.kills))
            if (!enough())
                campaign.kill_at(k);
    // And some may be longer still: on to the first that is over before its kill.
    if (density.kills == 0)
        for (auto k = length; k < 2 * length && !campaign.over() && !enough(); ++k)
            campaign.kill_at(k);
    report.seconds = static_cast<double>(now_ns() - begin) / 1e9;
    return report;
}

} // namespace multifork::test::crash
