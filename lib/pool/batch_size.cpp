#include <multifork/pool/batch_size.hpp>

#include <multifork/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace multifork::detail {

std::size_t at_least_1(const char* option, std::int64_t value) {
    if (value < 1)
        throw InvalidArgument(fmt::format("{} of a Parallel is {}; it must be at least 1, or left "
                                          "out to be chosen by what is measured",
                                          option, value));
    return static_cast<std::size_t>(value);
}

BatchSize::BatchSize(std::optional<std::int64_t> fixed)
    : fixed_(fixed.has_value()), size_(fixed ? at_least_1("batch_size", *fixed) : 1) {}

void BatchSize::ran(std::size_t jobs, std::int64_t ns) noexcept {
    if (fixed_ || jobs != size_) // one that was handed out before the last change says nothing
        return;
    const auto took = static_cast<double>(std::max<std::int64_t>(ns, 1));
    smooth_ns_ = smooth_ns_ > 0 ? 0.8 * smooth_ns_ + 0.2 * took : took;
    const bool is_short = smooth_ns_ < static_cast<double>(short_ns);
    const bool is_long = smooth_ns_ > static_cast<double>(long_ns) && size_ > 1;
    if (!is_short && !is_long)
        return;
    const double ideal = static_cast<double>(size_) * static_cast<double>(short_ns) / smooth_ns_;
    // The double of it, so that what hovers about the bound does not change all the time.
    const double wanted = std::clamp(2 * ideal, 1.0, 2 * static_cast<double>(size_));
    size_ = static_cast<std::size_t>(wanted);
    smooth_ns_ = 0;
}

} // namespace multifork::detail
