#include <multifork/process/cpu_count.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <sched.h>

namespace mp = multifork;
namespace support = multifork::test;

BOOST_AUTO_TEST_SUITE(cpu_count)

BOOST_AUTO_TEST_CASE(it_is_at_least_one_and_at_most_what_the_machine_has) {
    BOOST_TEST(mp::cpu_count() >= 1);
    BOOST_TEST(mp::cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
}

BOOST_AUTO_TEST_CASE(it_respects_the_affinity_mask) {
    support::run_in_child([] {
        cpu_set_t mask;
        support::demand(sched_getaffinity(0, sizeof mask, &mask) == 0);
        int first = 0;
        while (!CPU_ISSET(first, &mask))
            ++first;
        CPU_ZERO(&mask);
        CPU_SET(first, &mask);
        support::demand(sched_setaffinity(0, sizeof mask, &mask) == 0);
        support::demand(mp::cpu_count() == 1);
    });
}

BOOST_AUTO_TEST_SUITE_END()
