#pragma once

#include <multifork/channel/crossing.hpp>
#include <multifork/process/target.hpp>

#include <concepts>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace multifork {

namespace detail {
template <class T>
using Lent = decltype(detail::lend(std::declval<T&>()));
} // namespace detail

/// What bind_front() makes.
template <class F, class... Bound>
class BoundFront {
public:
    template <class G, class... As>
    explicit BoundFront(std::in_place_t, G&& f, As&&... bound)
        : f_(std::forward<G>(f)), bound_(std::forward<As>(bound)...) {}

    template <class... Args>
        requires std::invocable<F&, detail::Lent<Bound>..., Args...>
    decltype(auto) operator()(Args&&... args) {
        return std::apply(
            [&](Bound&... bound) -> decltype(auto) {
                return std::invoke(f_, detail::lend(bound)..., std::forward<Args>(args)...);
            },
            bound_);
    }

private:
    friend struct detail::Cross<BoundFront>;
    F f_;
    std::tuple<Bound...> bound_;
};

/// `f` with its first arguments, as std::bind_front: a callable that can cross into another process
/// although what it carries is no plain bytes. A closure that captures a std::string or a Queue
/// cannot, because C++ does not say what is inside of it.
///
/// \code
///   pool.map(mp::bind_front([](mp::Queue<int>& log, int n) { log.put(n); return n * n; }, log),
///   numbers);
/// \endcode
///
/// `f` gets references to what is bound: to the worker's own copies, which last for one task. Of a
/// `const char*` the text is bound, up to the first zero, wherever the call is made: bytes that are
/// no text do not get through as a `const char*` and a size.
template <class F, class... Bound>
[[nodiscard]] auto bind_front(F&& f, Bound&&... bound) {
    using detail::Arriving;
    return BoundFront<std::decay_t<F>, Arriving<std::decay_t<Bound>>...>(
        std::in_place, std::forward<F>(f),
        detail::keep<Arriving<std::decay_t<Bound>>>(std::forward<Bound>(bound))...);
}

namespace detail {

template <class F, class... Bound>
struct Cross<BoundFront<F, Bound...>> {
    static constexpr bool known = all_known<F, Bound...>;
    static constexpr bool brings_handles = true; // piece by piece, in a container too
    static void write(ByteWriter& writer, const BoundFront<F, Bound...>& callable) {
        pack(writer, callable.f_);
        std::apply([&](const Bound&... bound) { (pack(writer, bound), ...); }, callable.bound_);
    }
    static BoundFront<F, Bound...> read(ByteReader& reader) {
        F f = Cross<F>::read(reader);
        std::tuple<Bound...> bound{Cross<Bound>::read(reader)...}; // braces: in this order
        return std::apply(
            [&](Bound&... each) {
                return BoundFront<F, Bound...>(std::in_place, std::move(f), std::move(each)...);
            },
            bound);
    }
};

} // namespace detail
} // namespace multifork
