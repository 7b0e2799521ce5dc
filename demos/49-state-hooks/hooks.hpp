#pragma once

#include "toolkit/say.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/process/this_process.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace demo {

/// How often an object's state was got and set.
struct HookCalls {
    int get_state = 0;
    int set_state = 0;

    bool operator==(const HookCalls&) const = default;
};

/// In this process.
inline HookCalls hook_calls;

/// In a process and its forked children, in two stages one after the other.
class SharedHookCalls {
public:
    /// From now on, in this process and what it has forked.
    void begin() { current = this; }
    void next() { stage_.store(1); }

    void got() {
        got_.at(stage()).fetch_add(1);
        getter_.store(multifork::this_process::pid());
    }
    void set() { set_.at(stage()).fetch_add(1); }

    [[nodiscard]] HookCalls of(std::size_t stage) const {
        return {got_.at(stage).load(), set_.at(stage).load()};
    }
    /// The last process that got a state.
    [[nodiscard]] int getter() const { return getter_.load(); }

    static inline SharedHookCalls* current = nullptr;

private:
    [[nodiscard]] std::size_t stage() const { return static_cast<std::size_t>(stage_.load()); }

    using Count = multifork::Value<int>;
    Count stage_{0};
    Count getter_{0};
    std::array<Count, 2> got_{Count{0}, Count{0}};
    std::array<Count, 2> set_{Count{0}, Count{0}};
};

/// The tutorial's class: it can be called, and says when its state is got (Python's __getstate__)
/// and set (__setstate__).
class Test {
public:
    Test() = default; // what a state is set into: no "init", as in Python
    explicit Test(int x) : x_(x) { say("init"); }

    int operator()(int number) const {
        say("call {}", multifork::this_process::pid());
        return number + x_;
    }

    template <class Archive>
    void save(Archive& archive) const {
        say("get state {}", multifork::this_process::pid());
        ++hook_calls.get_state;
        if (SharedHookCalls::current != nullptr)
            SharedHookCalls::current->got();
        archive(x_, name_);
    }
    template <class Archive>
    void load(Archive& archive) {
        say("set state {}", multifork::this_process::pid());
        ++hook_calls.set_state;
        if (SharedHookCalls::current != nullptr)
            SharedHookCalls::current->set();
        archive(x_, name_);
    }

private:
    int x_ = 0;
    // Without this, a Test would be plain bytes, and those are copied without asking anybody.
    std::string name_ = "a test";
};

} // namespace demo
