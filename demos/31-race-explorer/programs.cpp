#include "program.hpp"

#include <fmt/format.h>

namespace demo {
namespace {

using Op = Instruction::Op;

/// The steps, between an acquire and a release of lock 0 if `locked`.
Instructions guarded(bool locked, Instructions steps) {
    if (locked) {
        steps.insert(steps.begin(), {Op::acquire, 0});
        steps.push_back({Op::release, 0});
    }
    return steps;
}

Program counter() {
    Program program{"counter", "each process adds 1 to a number", {"counter"}, {0}, {"lock"}, {},
                    {}};
    program.instructions = [](std::size_t processes, bool locked) {
        return std::vector<Instructions>(
            processes, guarded(locked, {{Op::load, 0}, {Op::add, 0, 1}, {Op::store, 0}}));
    };
    program.judge = [](const Ending& ending, std::size_t processes) -> Race::Verdict {
        return {ending.numbers[0] != static_cast<std::int64_t>(processes),
                fmt::format("counter = {}", ending.numbers[0])};
    };
    return program;
}

Program account() {
    Program program{"account",   "each process takes 70 from an account with 100",
                    {"balance"}, {100},
                    {"lock"},    {},
                    {}};
    program.instructions = [](std::size_t processes, bool locked) {
        return std::vector<Instructions>(
            processes,
            guarded(locked,
                    {{Op::load, 0}, {Op::require, 0, 70}, {Op::add, 0, -70}, {Op::store, 0}}));
    };
    program.judge = [](const Ending& ending, std::size_t processes) -> Race::Verdict {
        int paid = 0;
        for (std::size_t i = 0; i < processes; ++i)
            paid += ending.skipped[i] ? 0 : 70;
        return {paid > 100, fmt::format("{} paid out, balance = {}", paid, ending.numbers[0])};
    };
    return program;
}

Program pair() {
    Program program{"pair",     "one process writes two numbers, the others read them",
                    {"x", "y"}, {1, 1},
                    {"lock"},   {},
                    {}};
    program.instructions = [](std::size_t processes, bool locked) {
        std::vector<Instructions> all(processes, guarded(locked, {{Op::load, 0}, {Op::load, 1}}));
        all[0] = guarded(locked, {{Op::store, 0, 2}, {Op::store, 1, 2}});
        return all;
    };
    program.judge = [](const Ending& ending, std::size_t processes) -> Race::Verdict {
        Race::Verdict verdict;
        for (std::size_t i = 1; i < processes; ++i) {
            const Numbers& seen = ending.copies[i];
            verdict.wrong |= seen[0] != seen[1];
            verdict.text += fmt::format("{}saw ({}, {})", i > 1 ? ", " : "", seen[0], seen[1]);
        }
        return verdict;
    };
    return program;
}

Program forks() {
    Program program{"forks",
                    "each process takes its left fork, then its right one",
                    {},
                    {},
                    {"fork 1", "fork 2", "fork 3"},
                    {},
                    {}};
    program.without = "left first";
    program.with = "in one order";
    program.instructions = [](std::size_t processes, bool ordered) {
        std::vector<Instructions> all;
        for (std::size_t i = 0; i < processes; ++i) {
            auto first = static_cast<std::uint16_t>(i);
            auto second = static_cast<std::uint16_t>((i + 1) % processes);
            if (ordered && first > second)
                std::swap(first, second);
            all.push_back({{Op::acquire, first},
                           {Op::acquire, second},
                           {Op::release, second},
                           {Op::release, first}});
        }
        return all;
    };
    program.judge = [](const Ending& ending, std::size_t) -> Race::Verdict {
        return {!ending.stuck.empty(), ending.stuck.empty() ? "all have eaten" : "deadlock"};
    };
    return program;
}

} // namespace

const std::vector<Program>& all_programs() {
    static const std::vector<Program> all{counter(), account(), pair(), forks()};
    return all;
}

} // namespace demo
