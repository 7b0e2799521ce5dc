#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

namespace multifork::detail {

/// Goes through what `results.next()` gives, until it gives nothing. When next() throws, the step
/// was not made: another one goes on behind what threw.
template <class Results, class R>
class NextIterator {
public:
    using value_type = R;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    NextIterator() = default;
    explicit NextIterator(Results& results) : results_(&results) { ++*this; }
    R& operator*() const noexcept { return *value_; }
    R* operator->() const noexcept { return &*value_; }
    NextIterator& operator++() {
        std::optional<R> next = results_->next();
        value_.reset(); // and not assigned, which is more than one can ask of a result
        if (next)
            value_.emplace(*std::move(next));
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !value_.has_value(); }

private:
    Results* results_ = nullptr;
    mutable std::optional<R> value_;
};

} // namespace multifork::detail
