#include "toolkit/squares.hpp"

#include "toolkit/terminal.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace demo {
namespace {

std::string label(std::size_t number) {
    static constexpr std::array<const char*, 4> first{"첫", "두", "세", "네"};
    return number < first.size() ? fmt::format("{} 번째", first[number])
                                 : fmt::format("{} 번째", number + 1);
}

} // namespace

std::vector<Job> make_jobs(std::int64_t jobs, std::int64_t count) {
    std::vector<Job> made;
    for (std::size_t i = 0; i < static_cast<std::size_t>(jobs); ++i)
        made.emplace_back(label(i), count);
    return made;
}

Int128 sum_of_squares(std::int64_t count) {
    Int128 sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        Int128 square = i;
        square *= i;
        sum += square;
        asm volatile("" : "+r"(i)); // else the compiler may find the formula by itself
    }
    return sum;
}

std::vector<JobResult> right_results(const std::vector<Job>& jobs) {
    std::vector<JobResult> results;
    for (const auto& [idx, count] : jobs) {
        const Int128 n = count;
        results.emplace_back(idx, (n - 1) * n * (2 * n - 1) / 6);
    }
    return results;
}

std::string list_text(const std::vector<JobResult>& results) {
    // A pair takes up to 36 columns; a Korean letter takes two.
    const std::size_t in_a_line = terminal().width >= 76 ? 2 : 1;
    std::string text = "[";
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (i > 0)
            text += i % in_a_line == 0 ? ",\n " : ", ";
        text += fmt::format("('{}', {})", results[i].first, results[i].second);
    }
    return text + "]";
}

} // namespace demo
