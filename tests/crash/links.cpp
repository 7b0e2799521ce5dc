#include "crash/harness/crash_test.hpp"
#include "crash/harness/partner.hpp"
#include "support/children.hpp"

#include "liveness/registry.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/liveness/domain.hpp>

#include <csignal>

// The links of a thread's beacon lie in shared memory, where others can overwrite them. The thread
// follows them when it leaves, and must not write to where they lead then.

using namespace multifork;
using namespace multifork::test;
using namespace multifork::test::crash;
using mutants::Mutant;

namespace {

/// \return the exit code of a process that leaves after its links were overwritten
int leave_with_wrong_links() {
    RawChild child([] {
        liveness::Domain& domain = arena::tree_space().domain();
        const liveness::ThreadWord me = liveness::attach(domain);
        platform::RobustNode& node = domain.registry().beacons()[liveness::slot_of(me)].node;
        node.prev = reinterpret_cast<void*>(0x1000);
        liveness::detach(domain);
        return 0;
    });
    return child.wait();
}

} // namespace

BOOST_AUTO_TEST_SUITE(links)

BOOST_AUTO_TEST_CASE(who_leaves_writes_only_to_its_own_list, *ut::label("fast")) {
    BOOST_TEST(leave_with_wrong_links() == 0);
}

BOOST_AUTO_TEST_CASE(trust_links_is_caught, *ut::label("full")) {
    mutants::active = Mutant::trust_links;
    BOOST_TEST(leave_with_wrong_links() == -SIGSEGV);
    mutants::active = Mutant::none;
}

BOOST_AUTO_TEST_SUITE_END()
