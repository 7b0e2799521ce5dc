#include "toolkit/gated_team.hpp"

#include "toolkit/team.hpp"

#include <algorithm>
#include <thread>

namespace demo {
namespace mp = multifork;
using mp::lab::Access;
using mp::lab::Standing;
namespace {

/// The step before a round.
constexpr std::uint16_t ready = 0xFFFF;

} // namespace

GatedTeam::GatedTeam(Race& race)
    : race_(race), lanes_(race.lanes()), gate_(lanes_.size()),
      trace_(lanes_.size(), race.steps_at_most()), asleep_(lanes_.size(), false) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        Sign sign;
        processes_.emplace_back(mp::ProcessOptions{.name = lanes_[i], .daemon = true},
                                [this, i, &sign] { be_part(i, sign); });
        processes_.back().start();
        // Until it has joined the gate nobody would hear of its death there.
        if (!sign.wait()) {
            processes_.back().join();
            fallen_.push_back(how_it_fell(processes_.back()));
            return;
        }
    }
}

GatedTeam::~GatedTeam() {
    over_.store(1);
    for (std::size_t i = 0; i < processes_.size(); ++i) {
        if (is_usable())
            gate_.open(i);
        else
            processes_[i].kill(); // it may hang for ever
    }
}

void GatedTeam::be_part(std::size_t me, Sign& sign) {
    auto part = gate_.part(me);
    sign.give();
    Actor actor(trace_.lane(me), part);
    for (;;) {
        actor.act(Access::mark, ready, [] { return 0; });
        if (over_.load() != 0)
            break;
        actor.begin_round(true);
        race_.work(me, actor);
        actor.begin_round(false); // the next `ready` is no part of it
    }
    part.leave();
}

bool GatedTeam::is_at_rest(std::size_t part) const {
    return gate_.next(part).access == Access::mark && gate_.next(part).object == ready;
}

/// \return whether it stands at the gate, or sleeps for something that only another gives
bool GatedTeam::settle(std::size_t part, bool may_sleep) {
    for (;;) {
        const Standing standing = may_sleep ? gate_.look(part) : gate_.wait(part);
        asleep_[part] = standing == Standing::running && race_.sleeps(part);
        if (standing == Standing::parked || asleep_[part])
            return true;
        if (standing != Standing::running)
            break;
        std::this_thread::yield(); // it is about to lie down, or to come to the gate
    }
    processes_[part].join();
    fallen_.push_back(how_it_fell(processes_[part]));
    if (fallen_.back().empty())
        fallen_.back() = processes_[part].name() + " ended too early";
    able_.clear();
    return false;
}

void GatedTeam::settle() {
    const auto may_sleep = [&](std::size_t part) {
        return gate_.next(part).access == Access::wait;
    };
    // Whether a sleeper can come out depends on the others, so they first.
    for (std::size_t i = 0; i < processes_.size(); ++i)
        if (!(may_sleep(i) && gate_.look(i) == Standing::running) && !settle(i, false))
            return;
    for (std::size_t i = 0; i < processes_.size(); ++i)
        if (!settle(i, may_sleep(i)))
            return;
    find_able();
}

void GatedTeam::find_able() {
    able_.clear();
    stuck_.clear();
    for (std::size_t i = 0; i < processes_.size(); ++i) {
        if (!asleep_[i] && is_at_rest(i))
            continue;
        if (!asleep_[i] && race_.can_go(i, gate_.next(i)))
            able_.push_back(i);
        else
            stuck_.push_back(i);
    }
    if (!able_.empty())
        stuck_.clear(); // they wait, and may go on later
}

void GatedTeam::begin_round() {
    if (!is_usable())
        return;
    for (std::size_t i = 0; i < processes_.size(); ++i)
        static_cast<void>(gate_.wait(i)); // at its `ready`
    race_.set_up();
    for (std::size_t i = 0; i < processes_.size(); ++i)
        gate_.allow(i);
    settle();
}

void GatedTeam::go(std::size_t part) {
    gate_.allow(part);
    settle();
}

Chronicle GatedTeam::chronicle(const Race::Verdict& verdict) {
    const Names names = race_.names();
    Chronicle told = chronicle_of(trace_, lanes_, names);
    for (const std::size_t part : stuck_)
        add_ending(told, part, race_.stuck_text(part, gate_.next(part)));
    told.verdict = verdict.text;
    told.went_wrong = verdict.wrong;
    race_.annotate(told);
    return told;
}

} // namespace demo
