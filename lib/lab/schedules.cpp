#include <multifork/error.hpp>
#include <multifork/lab/schedules.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace multifork::lab {

namespace {

[[noreturn]] void throw_not_deterministic(const char* what) {
    throw InvalidArgument(fmt::format("after the same steps {} than last time: what the processes "
                                      "do is not deterministic, so that their schedules cannot be "
                                      "gone through",
                                      what));
}

} // namespace

bool Schedules::next() {
    if (depth_ < choices_.size())
        throw_not_deterministic("there are fewer to come");
    depth_ = 0;
    if (!begun_) {
        begun_ = true;
        return true;
    }
    while (!choices_.empty() && choices_.back().at + 1 == choices_.back().able.size())
        choices_.pop_back();
    if (choices_.empty())
        return false;
    ++choices_.back().at;
    return true;
}

std::size_t Schedules::pick(std::span<const std::size_t> able) {
    if (able.empty())
        throw InvalidArgument("a schedule in which nobody can go on: end it before pick()");
    if (depth_ == choices_.size())
        choices_.push_back({{able.begin(), able.end()}, 0});
    const Choice& choice = choices_[depth_++];
    if (!std::ranges::equal(choice.able, able))
        throw_not_deterministic("other processes can go on");
    return choice.able[choice.at];
}

std::vector<std::size_t> Schedules::path() const {
    std::vector<std::size_t> path;
    for (std::size_t i = 0; i < depth_; ++i)
        path.push_back(choices_[i].able[choices_[i].at]);
    return path;
}

std::size_t Schedules::preemptions() const {
    std::size_t count = 0;
    for (std::size_t i = 1; i < depth_; ++i) {
        const std::size_t before = choices_[i - 1].able[choices_[i - 1].at];
        const auto& able = choices_[i].able;
        if (before != able[choices_[i].at] && std::ranges::find(able, before) != able.end())
            ++count;
    }
    return count;
}

std::optional<std::int64_t> count_interleavings(std::span<const std::size_t> steps) {
    // The product of binomials: the steps of each process choose their places among those so far.
    std::int64_t count = 1;
    std::int64_t places = 0;
    for (const std::size_t own : steps)
        for (std::int64_t i = 1; i <= static_cast<std::int64_t>(own); ++i) {
            ++places;
            // count * places / i is whole; divide first what can be divided, so that it fits.
            const std::int64_t common = std::gcd(count, i);
            const std::int64_t factor = places / (i / common);
            if (__builtin_mul_overflow(count / common, factor, &count))
                return std::nullopt;
        }
    return count;
}

} // namespace multifork::lab
