#pragma once

#include <multifork/pool/bind_front.hpp>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

namespace multifork {

namespace detail {

template <class T>
struct IsReferenceWrapper : std::false_type {};
template <class T>
struct IsReferenceWrapper<std::reference_wrapper<T>> : std::true_type {};

/// As what an argument waits: as the parameter's own type, which is what is checked whether it can
/// cross; but what std::ref() made stays that, and text does not wait as a pointer.
template <class Parameter, class Arg>
using Waiting = std::conditional_t<IsReferenceWrapper<std::decay_t<Arg>>::value, std::decay_t<Arg>,
                                   Arriving<std::decay_t<Parameter>>>;

/// The call of an F with arguments of these types.
template <class F, class... Args>
struct DelayedCall {
    using type = BoundFront<F, Arriving<std::decay_t<Args>>...>;
    static type make(const F& f, Args&&... args) {
        return type(std::in_place, f,
                    keep<Arriving<std::decay_t<Args>>>(std::forward<Args>(args))...);
    }
};
template <class R, class... Ps, class... Args>
    requires(sizeof...(Ps) == sizeof...(Args))
struct DelayedCall<R (*)(Ps...), Args...> {
    using F = R (*)(Ps...);
    using type = BoundFront<F, Waiting<Ps, Args>...>;
    static type make(F f, Args&&... args) {
        return type(std::in_place, f, keep<Waiting<Ps, Args>>(std::forward<Args>(args))...);
    }
};

template <class F, class... Args>
concept CanWait = std::invocable<typename DelayedCall<F, Args...>::type&>;

} // namespace detail

/// What delayed() makes.
template <class F>
class DelayedFunction {
public:
    explicit DelayedFunction(F f) : f_(std::move(f)) {}

    /// The call `f(args...)`, not yet made.
    template <class... Args>
        requires detail::CanWait<F, Args...>
    [[nodiscard]] auto operator()(Args&&... args) const {
        return detail::DelayedCall<F, Args...>::make(f_, std::forward<Args>(args)...);
    }

private:
    F f_;
};

/// A function whose calls are jobs for Parallel, as joblib's: `delayed(f)(1, 2)` is what
/// `bind_front(f, 1, 2)` is, written so that one sees what will be called.
template <class F>
[[nodiscard]] DelayedFunction<std::decay_t<F>> delayed(F&& f) {
    return DelayedFunction<std::decay_t<F>>(std::forward<F>(f));
}

} // namespace multifork
