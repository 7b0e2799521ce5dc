#pragma once

#include <multifork/channel/list.hpp>

#include <set>

namespace demo {

/// `set(shared_list)`: who was there, such as the pids of all who did something.
template <class T>
[[nodiscard]] std::set<T> distinct(const multifork::List<T>& list) {
    const auto all = list.copy();
    return {all.begin(), all.end()};
}

} // namespace demo
