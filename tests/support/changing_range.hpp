#pragma once

#include <cstddef>
#include <deque>

/// \file
/// What an Array is to who goes through it while another process resizes it.

namespace multifork::test {

/// `counted` ones for who asks first how many there are, by size() or by the end; for who asks
/// next there are `found`.
class ChangingRange {
public:
    ChangingRange(std::size_t counted, std::size_t found) : counted_(counted), found_(found) {}

    [[nodiscard]] std::size_t size() const { return asked_++ % 2 == 0 ? counted_ : found_; }
    [[nodiscard]] auto begin() const { return ones_.begin(); }
    [[nodiscard]] auto end() const { return ones_.begin() + static_cast<std::ptrdiff_t>(size()); }

private:
    std::deque<int> ones_ = std::deque<int>(1000, 1); // not in a row: each is to be asked for
    std::size_t counted_;
    std::size_t found_;
    mutable std::size_t asked_ = 0;
};

} // namespace multifork::test
