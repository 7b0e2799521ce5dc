#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

const std::vector<std::string> methods{"fork", "spawn", "forkserver"};

using Words = mp::Queue<std::string>;

void tell_start_method(Words out) {
    out.put(mp::get_start_method());
}

/// In a process of its own, since the choice is the whole program's.
void choose_each_in_turn(Words out) {
    for (const std::string& method : methods) {
        mp::set_start_method(method, true);
        support::demand(mp::get_start_method() == method);
        support::demand(mp::get_start_method_if_set() == method);
        support::demand(mp::get_context() == mp::get_context(method));
        mp::Process child{tell_start_method, out};
        child.start();
        child.join();
        support::demand(child.exitcode() == 0);
        support::demand(out.try_get() == method);
    }
    support::demand(mp::get_context().process([] {}).name().starts_with("ForkServerProcess-"));
}

} // namespace

BOOST_AUTO_TEST_SUITE(start)

MULTIFORK_EACH_START_METHOD(T_005_a_context_has_its_method_for_good) {
    const std::string method = context.get_start_method();
    BOOST_TEST((mp::get_context(method) == context));
    BOOST_TEST((context.get_context() == context));
    for (const char* other : {"spawn", "fork", ""})
        support::expect_error<mp::ProcessError>([&] { context.set_start_method(other); },
                                                {"set_start_method", method});
    Words said{1};
    support::run_in_child(context, tell_start_method, said);
    BOOST_TEST(said.get() == method);
    // The types that Python's contexts have.
    BOOST_TEST(mp::ForkProcess{}.name().starts_with("ForkProcess-"));
    BOOST_TEST(mp::SpawnProcess{}.name().starts_with("SpawnProcess-"));
    BOOST_TEST(mp::ForkServerProcess{}.name().starts_with("ForkServerProcess-"));
}

MULTIFORK_EACH_START_METHOD(T_007_the_choice_is_kept_and_inherited) {
    const Words out{1};
    support::run_in_child(context, choose_each_in_turn, out);
}

BOOST_AUTO_TEST_CASE(T_008_all_start_methods_with_the_default_first) {
    BOOST_TEST(mp::get_all_start_methods() == methods, boost::test_tools::per_element());
    BOOST_TEST(mp::get_start_method() == methods.front());
}

BOOST_AUTO_TEST_SUITE_END()
