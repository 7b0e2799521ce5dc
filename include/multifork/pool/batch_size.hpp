#pragma once

#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace multifork::detail {

/// An option of a Parallel that counts something. \throws InvalidArgument for less than 1
[[nodiscard]] MULTIFORK_API std::size_t at_least_1(const char* option, std::int64_t value);

/// How many jobs a Parallel makes one task: so many that a task takes a few milliseconds, beside
/// which handing it out does not count, but not so many that workers wait for one another at the
/// end.
///
/// The rule is joblib's (AutoBatchingMixin), with shorter times, as a task here costs microseconds
/// there milliseconds: grow towards the ideal, at most to the double at once; shrink when a task
/// takes ten times too long.
///
/// \threads one at a time
class MULTIFORK_API BatchSize {
public:
    /// \param fixed  not measured, always this \throws InvalidArgument for less than 1
    explicit BatchSize(std::optional<std::int64_t> fixed);

    [[nodiscard]] std::size_t now() const noexcept { return size_; }
    /// A task of `jobs` took so long.
    void ran(std::size_t jobs, std::int64_t ns) noexcept;

    static constexpr std::int64_t short_ns = 2'000'000;
    static constexpr std::int64_t long_ns = 20'000'000;

private:
    bool fixed_;
    std::size_t size_;
    double smooth_ns_ = 0; ///< of tasks of this size; 0: none yet
};

} // namespace multifork::detail
