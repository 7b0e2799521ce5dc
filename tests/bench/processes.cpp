#include "bench.hpp"

#include <multifork/process/process.hpp>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;

namespace {

/// Microseconds to start and join a child that does nothing.
template <class F>
double each(F f, int count) {
    const std::int64_t start = bench::now_ns();
    for (int i = 0; i < count; ++i)
        f();
    return static_cast<double>(bench::now_ns() - start) / count * 1e-3;
}

void bare_fork() {
    const pid_t pid = ::fork();
    if (pid == 0)
        ::_exit(0);
    int status = 0;
    ::waitpid(pid, &status, 0);
}

void process() {
    mp::Process child{[] {}};
    child.start();
    child.join();
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = bench::rounds(argc, argv, 15);
    process(); // makes the arena
    bench::Table table("start and join", "microseconds");
    table.row("bare fork + waitpid", [] { return each(bare_fork, 100); });
    table.row("Process", [] { return each(process, 100); });
    table.target("Process", "bare fork + waitpid", false, 1.25);
    table.run(rounds);
}
