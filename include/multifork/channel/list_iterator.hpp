#pragma once

#include <cstddef>
#include <iterator>
#include <optional>

namespace multifork {

/// Goes through a List as it is when it gets there: what others change, add or take out before is
/// seen. For a snapshot: `for (auto& x : list.copy())`.
template <class List>
class ListIterator {
public:
    using value_type = typename List::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    ListIterator() = default;
    explicit ListIterator(const List& list) : list_(&list) {}
    const value_type& operator*() const { return *fetch(); }
    const value_type* operator->() const { return &*fetch(); }
    ListIterator& operator++() {
        ++place_;
        element_.reset();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !fetch().has_value(); }

private:
    const std::optional<value_type>& fetch() const {
        if (!element_)
            element_ = list_->get(place_);
        return element_;
    }
    const List* list_ = nullptr;
    std::ptrdiff_t place_ = 0;
    mutable std::optional<value_type> element_;
};

} // namespace multifork
