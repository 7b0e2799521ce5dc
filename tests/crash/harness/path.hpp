#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_set>
#include <vector>

namespace multifork::test::crash {

/// Where an operation stood before each of its instructions, as once seen by single steps.
///
/// It makes the kills of a campaign quick: instead of stepping k times, a victim runs freely to a
/// breakpoint at a *landmark*, and steps from there. A landmark is a place at which the operation
/// came by for the first time, so that the first arrival there is the right one. Code without a
/// loop consists of landmarks.
class Path {
public:
    using Address = std::uintptr_t;

    /// The next instruction begins at `address`. `forks`: it may make a process; a breakpoint that
    /// is set while it is executed would be the new process's too.
    void append(Address address, bool forks) {
        if (seen_.insert(address).second)
            landmarks_.push_back(places_.size());
        if (forks)
            forks_.push_back(places_.size());
        places_.push_back(address);
    }
    [[nodiscard]] std::size_t size() const { return places_.size(); }
    [[nodiscard]] Address operator[](std::size_t i) const { return places_[i]; }

    /// The last landmark in (from, to] that can be run to; `from` when there is none.
    [[nodiscard]] std::size_t landmark(std::size_t from, std::size_t to) const;
    /// The first instruction from `from` on, and before `to`, that may make a process, or `to`.
    [[nodiscard]] std::size_t fork_between(std::size_t from, std::size_t to) const;

private:
    std::vector<Address> places_;
    std::vector<std::size_t> landmarks_; // ascending
    std::vector<std::size_t> forks_;     // ascending
    std::unordered_set<Address> seen_;
};

} // namespace multifork::test::crash
