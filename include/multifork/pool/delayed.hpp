#pragma once

#include <multifork/pool/bind_front.hpp>

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

namespace multifork {

namespace detail {

template <class T>
inline constexpr bool is_text_pointer = std::same_as<T, const char*> || std::same_as<T, char*>;

/// Where an argument waits as its parameter's type, so that jobs are of one type whatever they were
/// written with: numbers for a number, text for a std::string.
template <class Wanted, class Given>
inline constexpr bool wait_alike = (std::is_arithmetic_v<Wanted> && std::is_arithmetic_v<Given>) ||
                                   (std::same_as<Wanted, std::string> && is_text_pointer<Given>) ||
                                   std::same_as<Wanted, const char*>;

/// As what an argument waits: as what it is, if the function can be called with that. A parameter
/// may be less, a std::string_view of a string that is gone, or the base of an object.
template <class Parameter, class Arg>
using Waiting = Arriving<
    std::conditional_t<wait_alike<std::decay_t<Parameter>, std::decay_t<Arg>> ||
                           !std::convertible_to<Lent<Arriving<std::decay_t<Arg>>>, Parameter>,
                       std::decay_t<Parameter>, std::decay_t<Arg>>>;

/// It becomes that without being asked to, as in a call.
template <class Parameter, class Arg>
concept WaitsFor = std::same_as<Waiting<Parameter, Arg>, Arriving<std::decay_t<Arg>>> ||
    std::convertible_to<Arg, std::decay_t<Parameter>>;

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
    requires(sizeof...(Ps) == sizeof...(Args) && (WaitsFor<Ps, Args> && ...))
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
/// `bind_front(f, 1, 2)` is, written so that one sees what will be called. Jobs of one function
/// are of one type also if numbers, or text for a std::string, were written in different ways.
template <class F>
[[nodiscard]] DelayedFunction<std::decay_t<F>> delayed(F&& f) {
    return DelayedFunction<std::decay_t<F>>(std::forward<F>(f));
}

} // namespace multifork
