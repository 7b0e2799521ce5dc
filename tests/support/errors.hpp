#pragma once

#include <boost/test/unit_test.hpp>

#include <exception>
#include <initializer_list>
#include <string_view>
#include <typeinfo>

namespace multifork::test {

/// Whether `act` throws an E; for threads, in which Boost.Test's checks are not safe.
template <class E, class Act>
[[nodiscard]] bool throws(Act act) {
    try {
        act();
    } catch (const E&) {
        return true;
    }
    return false;
}

/// Checks that `act` throws exactly an E, and that what() has all the words: a message must say
/// what happened and what to do.
template <class E, class F>
void expect_error(F&& act, std::initializer_list<std::string_view> words) {
    try {
        act();
    } catch (const E& error) {
        BOOST_TEST((typeid(error) == typeid(E)), "threw " << typeid(error).name());
        const std::string_view what = error.what();
        for (const std::string_view word : words)
            BOOST_TEST((what.find(word) != what.npos),
                       "'" << what << "' does not say '" << word << "'");
        return;
    } catch (const std::exception& error) {
        BOOST_ERROR("threw " << typeid(error).name() << ": " << error.what());
        return;
    }
    BOOST_ERROR("did not throw " << typeid(E).name());
}

} // namespace multifork::test
