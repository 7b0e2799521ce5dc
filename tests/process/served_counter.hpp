#pragma once

#include <multifork/manager/manager.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <new>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

/// \file
/// What the managers of these tests serve.

namespace multifork::test {

struct Point {
    int x = 0;
    std::string name;
    bool operator==(const Point&) const = default;
};

/// An exception of the program's own.
struct Own : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Not safe between threads.
class Counter {
public:
    Counter() = default;
    explicit Counter(int start) : value_(start) {}
    Counter(const Counter&) = delete; // stays where it was made
    Counter& operator=(const Counter&) = delete;

    int add(int n) {
        const int before = value_;
        std::this_thread::yield();
        return value_ = before + n;
    }
    [[nodiscard]] int value() const noexcept { return value_; }
    void reset() noexcept { value_ = 0; }
    const int& reference() { return value_; }
    auto squares(int n) {
        return std::views::iota(0, n) | std::views::transform([](int x) { return x * x; });
    }
    Point move(const Point& point, double, const std::vector<int>& by) {
        return {point.x + by.at(0), point.name + "!"};
    }
    std::string_view describe(std::string_view prefix) {
        text_ = std::string(prefix) + std::to_string(value_);
        return text_;
    }
    int sum(std::span<const int> numbers) {
        int result = 0;
        for (const int n : numbers)
            result += n;
        return result;
    }
    void fail(int how) {
        switch (how) {
        case 0:
            throw std::out_of_range("too far");
        case 1:
            throw InvalidArgument("what an argument");
        case 2:
            throw Own("of our own");
        case 3:
            throw 42;
        default:
            throw std::bad_alloc();
        }
    }
    int pid() { return ::getpid(); }

private:
    int value_ = 0;
    std::string text_;
};

/// Safe between threads: one call may wait for another.
struct Gate {
    std::atomic<bool> open{false};
    void pass() {
        while (!open)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    void let() { open = true; }
};

inline Manager counters(ManagerOptions options = {}) {
    Manager manager{std::move(options)};
    manager.register_type<Counter>("Counter", [](int start) { return Counter(start); })
        .method("add", &Counter::add)
        .method("value", &Counter::value)
        .method("reset", &Counter::reset)
        .method("reference", &Counter::reference)
        .method("squares", &Counter::squares)
        .method("move", &Counter::move)
        .method("describe", &Counter::describe)
        .method("sum", &Counter::sum)
        .method("fail", &Counter::fail)
        .method("pid", &Counter::pid)
        .method("twice", [](Counter& c, int n) { return c.add(2 * n); });
    manager.register_type<Gate>("Gate")
        .method("pass", &Gate::pass)
        .method("let", &Gate::let)
        .concurrent();
    return manager;
}

/// The exit code of a server that was asked to end: 0, also if the request came as SIGTERM.
inline int orderly(const Manager& manager) {
    const int code = manager.exitcode().value();
    return code == -SIGTERM ? 0 : code;
}

} // namespace multifork::test
