#include <multifork/multifork.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdio>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;

namespace {

/// As a program that was started without these standard streams, as in `demo >&-`.
int run_without(const std::vector<int>& streams) {
    for (const int stream : streams)
        ::close(stream);
    mp::Value<int> number{41};
    mp::Process child{{.daemon = true}, [&] {
                          std::puts("said to nobody");
                          number.fetch_add(1);
                      }};
    child.start();
    // Must reach neither the arena nor the pipe that ties the daemon to this process.
    const std::array<char, 64> noise{};
    for (const int stream : streams)
        if (::write(stream, noise.data(), noise.size()) >= 0)
            return 1;
    child.join();
    return child.exitcode() == 0 && number.load() == 42 ? 0 : 2;
}

} // namespace

BOOST_AUTO_TEST_SUITE(demo_closed_streams)

// The first object makes the arena, so this is the only case here, and its
// parent makes none.
BOOST_AUTO_TEST_CASE(library_leaves_the_numbers_of_closed_standard_streams_alone) {
    for (const std::vector<int>& closed : {std::vector{0}, std::vector{1}, std::vector{2},
                                           std::vector{0, 1}, std::vector{0, 1, 2}}) {
        const pid_t program = ::fork();
        if (program == 0)
            ::_exit(run_without(closed));
        int status = 0;
        BOOST_TEST(::waitpid(program, &status, 0) == program);
        BOOST_TEST(WIFEXITED(status));
        BOOST_TEST(WEXITSTATUS(status) == 0);
    }
}

BOOST_AUTO_TEST_SUITE_END()
