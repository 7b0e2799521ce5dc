#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

// Cases that must fail: they show that the guards around every test case are awake. Not run as
// tests themselves; package.cmake looks for the words of the guard.

BOOST_AUTO_TEST_SUITE(guards)

// If the watchdog left the two children alive, they would hold the pipe to ctest open.
BOOST_AUTO_TEST_CASE(hangs, *boost::unit_test::timeout(1)) {
    if (fork() == 0) {
        fork();
    }
    while (true) {
        pause();
    }
}

BOOST_AUTO_TEST_CASE(leaves_a_zombie) {
    if (fork() == 0) {
        _exit(0);
    }
}

BOOST_AUTO_TEST_CASE(leaves_an_orphan) {
    const pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            pause();
        }
        _exit(0);
    }
    BOOST_TEST(waitpid(child, nullptr, 0) == child);
}

BOOST_AUTO_TEST_CASE(leaves_a_name) {
    std::ofstream("/dev/shm/multifork." + multifork::test::unique_name("guards")) << "x";
}

BOOST_AUTO_TEST_SUITE_END()
