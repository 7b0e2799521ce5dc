#include "support/leftovers.hpp"
#include "support/skip.hpp"
#include "support/watchdog.hpp"

#include <boost/make_shared.hpp>
#include <boost/test/tree/observer.hpp>
#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include <unistd.h>

// The main() of every test program. Around each test case it puts the watchdog and the check for
// leftovers, and for `--list-cases` it writes what discover.cmake turns into entries of ctest.

namespace ut = boost::unit_test;
namespace support = multifork::test;

#ifdef __SANITIZE_THREAD__
// The count of an exception's users lies in a C++ library that was built without ThreadSanitizer:
// it does not see that the last user comes after the others.
extern "C" [[gnu::visibility("default")]] const char*
__tsan_default_suppressions() { // NOLINT: its name
    return "race:std::__exception_ptr::exception_ptr::_M_release";
}
#endif

namespace {

constexpr int exit_skipped = 77;

/// The test case and the suites around it, innermost first.
template <typename Function>
void for_each_ancestor(const ut::test_unit& unit, Function function) {
    const ut::test_unit* at = &unit;
    while (true) {
        function(*at);
        if (at->p_parent_id.get() == ut::INV_TEST_UNIT_ID) {
            return;
        }
        at = &ut::framework::get(at->p_parent_id.get(), ut::TUT_SUITE);
    }
}

/// `* timeout(n)` of the case or else of the nearest suite.
unsigned seconds_for(const ut::test_unit& unit) {
    unsigned seconds = 0;
    for_each_ancestor(unit, [&](const ut::test_unit& at) {
        if (seconds == 0) {
            seconds = at.p_timeout.get();
        }
    });
    return seconds != 0 ? seconds : support::default_seconds();
}

struct Guard : ut::test_unit_fixture {
    Guard(std::string case_name, unsigned limit) : name(std::move(case_name)), seconds(limit) {}

    void setup() override {
        leftovers.remember();
        support::arm_watchdog(name, seconds);
    }
    void teardown() override {
        support::disarm_watchdog();
        for (const std::string& leftover : leftovers.clean_up()) {
            BOOST_ERROR("left behind: " << leftover);
        }
    }

    std::string name;
    unsigned seconds;
    support::Leftovers leftovers;
};

/// Guards every case, and takes over Boost's time limits: Boost's own would send SIGALRM, which
/// belongs to the code under test.
struct Installer : ut::test_tree_visitor {
    void visit(const ut::test_case& unit) override {
        auto& writable = ut::framework::get<ut::test_case>(unit.p_id.get());
        auto guard = boost::make_shared<Guard>(unit.full_name(), seconds_for(unit));
        writable.p_fixtures.value.insert(writable.p_fixtures.value.begin(), guard);
    }
};

struct TimeoutRemover : ut::test_tree_visitor {
    void visit(const ut::test_case& unit) override { forget(unit); }
    bool test_suite_start(const ut::test_suite& unit) override {
        forget(unit);
        return true;
    }
    static void forget(const ut::test_unit& unit) {
        const_cast<ut::test_unit&>(unit).p_timeout.value = 0;
    }
};

struct Observer : ut::test_observer {
    void test_start(ut::counter_t, ut::test_unit_id root) override {
        Installer installer;
        ut::traverse_test_tree(root, installer, true);
        TimeoutRemover remover;
        ut::traverse_test_tree(root, remover, true);
    }
    void test_unit_start(const ut::test_unit& unit) override {
        cases_run += unit.p_type == ut::TUT_CASE ? 1 : 0;
    }
    void test_unit_skipped(const ut::test_unit& unit, ut::const_string reason) override {
        if (reason != "disabled") {
            cases_skipped += 1;
            std::printf("skipped %s: %.*s\n", unit.full_name().c_str(),
                        static_cast<int>(reason.size()), reason.begin());
        }
    }
    [[nodiscard]] bool all_skipped() const {
        const int skipped = cases_skipped + support::cases_skipped();
        return skipped > 0 && cases_run <= support::cases_skipped();
    }

    int cases_run = 0;
    int cases_skipped = 0;
};

/// Writes "suite/case <tab> seconds <tab> labels" for each case. Cases made from data or types have
/// names that are no words; they are listed together as "suite/name*".
struct Lister : ut::test_tree_visitor {
    void visit(const ut::test_case& unit) override {
        std::string path;
        std::string labels;
        for_each_ancestor(unit, [&](const ut::test_unit& at) {
            if (at.p_parent_id.get() != ut::INV_TEST_UNIT_ID) {
                path.insert(0, path.empty() ? at.p_name.get() : at.p_name.get() + "/");
            }
            for (const std::string& label : at.p_labels.get()) {
                labels += labels.empty() ? label : "," + label;
            }
        });
        const std::size_t name = path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1;
        if (name > 0 && path[name] == '_') {
            path.resize(name - 1);
        } else if (const std::size_t odd = path.find_first_of("<*, ", name);
                   odd != std::string::npos) {
            path.resize(odd);
            path += '*';
        }
        if (seen.insert(path).second) {
            std::printf("%s\t%u\t%s\n", path.c_str(),
                        seconds_for(unit) * support::built_in_slowdown, labels.c_str());
        }
    }

    std::set<std::string> seen;
};

bool no_suite() {
    return true;
}

int list_cases(char* program) {
    char* arguments[] = {program, nullptr};
    ut::framework::init(no_suite, 1, arguments);
    ut::framework::finalize_setup_phase();
    Lister lister;
    ut::traverse_test_tree(ut::framework::master_test_suite().p_id.get(), lister, true);
    ut::framework::shutdown();
    return EXIT_SUCCESS;
}

} // namespace

int main(int argc, char* argv[]) {
    // A crash must end the process that crashed. Boost would jump out of the signal handler, in a
    // forked child into a second run of the remaining tests.
    setenv("BOOST_TEST_CATCH_SYSTEM_ERRORS", "no", 0);
    if (isatty(STDOUT_FILENO) == 0) {
        setenv("BOOST_TEST_COLOR_OUTPUT", "no", 0);
    }

    // Tests look for named objects in /dev/shm.
    unsetenv("MULTIFORK_SHM_DIR");

    if (argc == 2 && std::strcmp(argv[1], "--list-cases") == 0) {
        return list_cases(argv[0]);
    }

    // A shell ignores these for what it runs in the background, and children inherit that.
    for (const int number : {SIGINT, SIGQUIT, SIGPIPE})
        std::signal(number, SIG_DFL);
    support::start_own_process_group();
    Observer observer;
    ut::framework::register_observer(observer);
    const int result = ut::unit_test_main(no_suite, argc, argv);
    return result == EXIT_SUCCESS && observer.all_skipped() ? exit_skipped : result;
}
