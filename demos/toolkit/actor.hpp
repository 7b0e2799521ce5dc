#pragma once

#include <multifork/channel/value.hpp>
#include <multifork/lab/step_gate.hpp>
#include <multifork/lab/trace.hpp>
#include <multifork/platform/clock.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace demo {

/// One process of a race: it writes down each of its steps, and in --step mode it stops before
/// each one until it is allowed.
class Actor {
public:
    using Access = multifork::lab::Access;

    Actor(multifork::lab::TraceLane lane, std::optional<multifork::lab::StepGate::Part> gate)
        : lane_(lane), gate_(std::move(gate)) {}

    /// \param record  false: this round is not written down, what there is stays
    void begin_round(bool record) {
        recording_ = record;
        if (record)
            lane_.clear();
    }
    [[nodiscard]] bool is_gated() const { return gate_.has_value(); }

    template <class T>
    [[nodiscard]] T load(const multifork::Value<T>& from, std::uint16_t object) {
        T seen{};
        act(Access::load, object, [&] { return number(seen = from.value()); });
        return seen;
    }
    template <class T>
    void store(multifork::Value<T>& to, const T& value, std::uint16_t object) {
        act(Access::store, object, [&] {
            to.value() = value;
            // Waits until the store has left this processor: only then "by now" is true.
            std::atomic_thread_fence(std::memory_order_seq_cst);
            return number(value);
        });
    }
    /// Something with its own copy, that takes a step of its own in --step mode.
    void compute(std::uint16_t text, std::int64_t value = 0) {
        act(Access::compute, text, [&] { return value; });
    }
    template <class L>
    void acquire(L& lock, std::uint16_t object) {
        act(Access::acquire, object, [&] {
            if constexpr (requires { lock.lock(); })
                lock.lock();
            else
                lock.acquire();
            return 0;
        });
    }
    template <class L>
    void release(L& lock, std::uint16_t object) {
        act(Access::release, object, [&] {
            if constexpr (requires { lock.unlock(); })
                lock.unlock();
            else
                lock.release();
            return 0;
        });
    }
    /// With real timing: works on something of its own for about that long. Makes the dangerous
    /// time as long as it is in a program that does more than these few steps.
    void be_busy(std::int64_t ns) const {
        if (gate_)
            return;
        const std::int64_t until = multifork::platform::monotonic_ns() + ns;
        while (multifork::platform::monotonic_ns() < until) {
        }
    }
    /// A word for the picture; no step.
    void mark(std::uint16_t text, std::int64_t value = 0) {
        const std::int64_t now = multifork::platform::monotonic_ns();
        if (recording_)
            lane_.note(Access::mark, text, value, now, now);
    }
    /// A step that the caller has made by itself.
    void note(Access access, std::uint16_t object, std::int64_t value, std::int64_t begin,
              std::int64_t end) {
        if (recording_)
            lane_.note(access, object, value, begin, end);
    }
    /// \param step  does it, and returns the value to write down
    template <class F>
    void act(Access access, std::uint16_t object, F&& step) {
        const std::int64_t begin = multifork::platform::monotonic_ns();
        if (gate_)
            gate_->step({access, object, 0});
        const std::int64_t value = step();
        if (recording_)
            lane_.note(access, object, value, begin, multifork::platform::monotonic_ns());
    }

private:
    template <class T>
    static std::int64_t number(const T& value) {
        if constexpr (std::is_integral_v<T>)
            return static_cast<std::int64_t>(value);
        else
            return 0;
    }

    multifork::lab::TraceLane lane_;
    std::optional<multifork::lab::StepGate::Part> gate_;
    bool recording_ = true;
};

} // namespace demo
