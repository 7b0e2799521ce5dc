#pragma once

#include "support/children.hpp"

#include <multifork/process/context.hpp>

#include <boost/test/unit_test.hpp>

#include <utility>

/// \file
/// A behaviour that must be the same however a process is started is one function of a context, and
/// three test cases: name (fork), name_spawn, name_forkserver.
///
/// What runs in a child must cross: a function, or a closure without captures, with arguments.

/// Defines the three cases; the body follows, and has `context`.
#define MULTIFORK_EACH_START_METHOD(name)                                                          \
    static void name##_by(const multifork::Context& context);                                      \
    BOOST_AUTO_TEST_CASE(name) {                                                                   \
        name##_by(multifork::get_context("fork"));                                                 \
    }                                                                                              \
    BOOST_AUTO_TEST_CASE(name##_spawn) {                                                           \
        name##_by(multifork::get_context("spawn"));                                                \
    }                                                                                              \
    BOOST_AUTO_TEST_CASE(name##_forkserver) {                                                      \
        const multifork::test::ServerStops at_the_end;                                             \
        name##_by(multifork::get_context("forkserver"));                                           \
    }                                                                                              \
    static void name##_by([[maybe_unused]] const multifork::Context& context)

namespace multifork::test {

/// The fork server of this process ends with the case, which must leave no child behind.
struct ServerStops {
    ServerStops() = default;
    ~ServerStops();
    ServerStops(const ServerStops&) = delete;
    ServerStops& operator=(const ServerStops&) = delete;
};

/// Runs `target` in a process of that context, and expects that it ends with 0.
template <class F, class... Args>
void run_in_child(const Context& context, F&& target, Args&&... args) {
    Process child = context.process(std::forward<F>(target), std::forward<Args>(args)...);
    child.start();
    expect_exit(child);
}

} // namespace multifork::test
