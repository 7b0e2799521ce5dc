#include <multifork/multifork.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;

namespace {

/// As a program whose caller closed its standard streams, as in `demo >&- 2>&- <&-`.
int without_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::close(stream);
    mp::Value<int> number{41};
    mp::Process child{{.daemon = true}, [&] {
                          std::puts("said to nobody");
                          number.fetch_add(1);
                      }};
    child.start();
    // Must reach neither the arena nor the pipe that ties the daemon to this process.
    const std::array<char, 64> noise{};
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
        if (::write(stream, noise.data(), noise.size()) >= 0)
            return 1;
    child.join();
    return child.exitcode() == 0 && number.load() == 42 ? 0 : 2;
}

} // namespace

BOOST_AUTO_TEST_SUITE(demo_closed_streams)

// The first object makes the arena, so this is the only case here.
BOOST_AUTO_TEST_CASE(library_leaves_the_numbers_of_closed_standard_streams_alone) {
    const pid_t program = ::fork();
    if (program == 0)
        ::_exit(without_standard_streams());
    int status = 0;
    BOOST_TEST(::waitpid(program, &status, 0) == program);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
