#include "program.hpp"

#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace demo {

using multifork::lab::Access;
using multifork::lab::Step;
using Op = Instruction::Op;

namespace {

/// Objects in the trace: first the numbers, then two texts for each step of each process, then the
/// locks.
constexpr std::uint16_t first_text = 16;

std::string add_text(std::int64_t value) {
    return value < 0 ? fmt::format("subtract {}", -value) : fmt::format("add {}", value);
}

} // namespace

std::string text_of(const Program& program, const Instruction& instruction) {
    switch (instruction.op) {
    case Op::load:
        return "load " + program.numbers[instruction.object];
    case Op::add:
        return add_text(instruction.value);
    case Op::require:
        return fmt::format("is it {}?", instruction.value);
    case Op::store:
        return "store " + program.numbers[instruction.object];
    case Op::acquire:
        return "acquire " + program.locks[instruction.object];
    case Op::release:
        return "release " + program.locks[instruction.object];
    }
    return "";
}

ProgramRace::ProgramRace(const Program& program, std::size_t processes, bool locked)
    : program_(program), processes_(processes), code_(program.instructions(processes, locked)),
      numbers_(), locks_(program.locks.size()) {
    for (std::size_t i = 0; i < program.numbers.size(); ++i)
        numbers_.emplace_back(0);
}

std::vector<std::string> ProgramRace::lanes() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < processes_; ++i)
        all.push_back(fmt::format("Process-{}", i + 1));
    return all;
}

std::uint16_t ProgramRace::lock_object(std::uint16_t lock) const {
    return static_cast<std::uint16_t>(most_numbers + lock);
}

Names ProgramRace::names() const {
    Names names;
    names.objects.resize(first_text);
    for (std::size_t i = 0; i < program_.numbers.size(); ++i)
        names.objects[i] = program_.numbers.size() > 1 ? program_.numbers[i] : "";
    for (std::uint16_t i = 0; i < program_.locks.size(); ++i)
        names.objects[lock_object(i)] = program_.locks[i];
    for (const Instructions& code : code_)
        for (const Instruction& instruction : code) {
            names.objects.push_back(instruction.op == Op::require
                                        ? fmt::format("{} is there", instruction.value)
                                        : add_text(instruction.value) + ": {}");
            names.objects.emplace_back("not enough");
        }
    if (program_.numbers.size() == 1) {
        names.state_title = program_.numbers.front();
        names.tracked = 0;
    }
    return names;
}

void ProgramRace::set_up() {
    for (std::size_t i = 0; i < numbers_.size(); ++i)
        numbers_[i].store(program_.initial[i]);
    for (std::size_t i = 0; i < most_processes; ++i) {
        copies_[i].store({});
        skipped_[i].store(0);
    }
}

void ProgramRace::work(std::size_t me, Actor& actor) {
    Numbers own{};
    auto text = first_text;
    for (std::size_t i = 0; i < me; ++i)
        text = static_cast<std::uint16_t>(text + 2 * code_[i].size());
    bool skipping = false;
    for (const Instruction& instruction : code_[me]) {
        auto& copy = own[instruction.object];
        if (skipping && instruction.op != Op::release) {
            text = static_cast<std::uint16_t>(text + 2);
            continue;
        }
        switch (instruction.op) {
        case Op::load:
            copy = actor.load(numbers_[instruction.object], instruction.object);
            break;
        case Op::add:
            copy += instruction.value;
            actor.compute(text, copy);
            break;
        case Op::require:
            skipping = copy < instruction.value;
            actor.compute(static_cast<std::uint16_t>(text + (skipping ? 1 : 0)), copy);
            break;
        case Op::store:
            if (instruction.value != 0)
                copy = instruction.value;
            actor.store(numbers_[instruction.object], copy, instruction.object);
            break;
        case Op::acquire:
            actor.acquire(locks_[instruction.object], lock_object(instruction.object));
            break;
        case Op::release:
            actor.release(locks_[instruction.object], lock_object(instruction.object));
            break;
        }
        text = static_cast<std::uint16_t>(text + 2);
    }
    copies_[me].store(own);
    skipped_[me].store(skipping ? 1 : 0);
}

Race::Verdict ProgramRace::judge(const std::vector<std::size_t>& stuck) {
    Ending ending;
    ending.stuck = stuck;
    for (std::size_t i = 0; i < numbers_.size(); ++i)
        ending.numbers[i] = numbers_[i].load();
    for (std::size_t i = 0; i < processes_; ++i) {
        ending.copies[i] = copies_[i].load();
        ending.skipped[i] = skipped_[i].load() != 0;
    }
    return program_.judge(ending, processes_);
}

bool ProgramRace::can_go(std::size_t, const Step& step) {
    return step.access != Access::acquire || !locks_[step.object - most_numbers].owner();
}

std::string ProgramRace::stuck_text(std::size_t, const Step& step) {
    return fmt::format("needs {}", program_.locks[step.object - most_numbers]);
}

void ProgramRace::annotate(Chronicle& told) {
    if (!told.went_wrong)
        return;
    const auto is_marked = [&] {
        return std::any_of(told.moments.begin(), told.moments.end(),
                           [](const Moment& moment) { return moment.is_bad; });
    };
    // A store between another one's load and its store to the same number: it is stored over.
    for (const Stretch& stretch : told.stretches)
        for (std::size_t i = stretch.first;
             stretch.kind == Stretch::Kind::trusts && i < stretch.last && i < told.moments.size();
             ++i) {
            const std::string& text = told.moments[stretch.first].text; // "load x 41"
            const std::string store = "store" + text.substr(4, text.rfind(' ') - 3);
            if (told.moments[i].lane != stretch.lane && told.moments[i].text.starts_with(store))
                told.moments[i].is_bad = true;
        }
    // Otherwise what was loaded last does not fit what was loaded before.
    for (auto moment = told.moments.rbegin(); moment != told.moments.rend() && !is_marked();
         ++moment)
        moment->is_bad = moment->text.starts_with("load");
}

std::vector<std::size_t> ProgramRace::steps() const {
    std::vector<std::size_t> all;
    for (const Instructions& code : code_)
        all.push_back(code.size());
    return all;
}

std::string ProgramRace::next_text(const Step& step) const {
    switch (step.access) {
    case Access::load:
        return "load " + program_.numbers[step.object];
    case Access::store:
        return "store " + program_.numbers[step.object];
    case Access::acquire:
        return "acquire " + program_.locks[step.object - most_numbers];
    case Access::release:
        return "release " + program_.locks[step.object - most_numbers];
    case Access::compute: {
        std::size_t index = (step.object - first_text) / 2U;
        for (const Instructions& code : code_) {
            if (index < code.size())
                return text_of(program_, code[index]);
            index -= code.size();
        }
        break;
    }
    case Access::wait:
    case Access::mark:
        break;
    }
    return "";
}

} // namespace demo
