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

/// As what an argument waits: as the parameter's own type, so that "text" for a std::string does
/// not wait as a pointer; but what std::ref() made stays that.
template <class Parameter, class Arg>
using Waiting = std::conditional_t<IsReferenceWrapper<std::decay_t<Arg>>::value, std::decay_t<Arg>,
                                   std::decay_t<Parameter>>;

/// The type of the call of an F with arguments of these types.
template <class F, class... Args>
struct DelayedCall {
    using type = BoundFront<F, std::decay_t<Args>...>;
};
template <class R, class... Ps, class... Args>
    requires(sizeof...(Ps) == sizeof...(Args))
struct DelayedCall<R (*)(Ps...), Args...> {
    using type = BoundFront<R (*)(Ps...), Waiting<Ps, Args>...>;
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
        using Call = typename detail::DelayedCall<F, Args...>::type;
        return Call(std::in_place, f_, std::forward<Args>(args)...);
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
