#include "bench.hpp"

#include <multifork/channel/pipe.hpp>
#include <multifork/process/context.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>

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

template <class P = mp::Process>
void process() {
    P child{[] {}};
    child.start();
    child.join();
}

/// A process that was forked before this one grew: it measures what a fork costs that is small.
class SmallProcess {
public:
    SmallProcess() {
        auto [ours, theirs] = mp::Pipe<double>();
        pipe_ = ours;
        child_ = std::make_unique<mp::Process>([pipe = theirs]() mutable {
            while (const auto count = pipe.try_recv_for(std::chrono::hours(1)))
                pipe.send(each(bare_fork, static_cast<int>(*count)));
        });
        child_->start();
    }
    double measure(int count) {
        pipe_.send(count);
        return pipe_.recv();
    }
    ~SmallProcess() { child_->kill(); }

private:
    mp::Connection<double> pipe_;
    std::unique_ptr<mp::Process> child_;
};

} // namespace

int main(int argc, char** argv) {
    const int rounds = bench::rounds(argc, argv, 15);
    process<>(); // makes the arena
    bench::Table table("start and join", "microseconds");
    table.row("bare fork + waitpid", [] { return each(bare_fork, 100); });
    table.row("Process", [] { return each(process<>, 100); });
    table.target("Process", "bare fork + waitpid", false, 1.25);
    table.run(rounds);

    SmallProcess small;
    constexpr std::size_t gigabyte = std::size_t{1} << 30;
    const std::unique_ptr<char[]> heap(new char[gigabyte]);
    std::memset(heap.get(), 1, gigabyte);
    bench::Table large("start and join, parent with a touched heap of 1 GB", "microseconds");
    large.row("bare fork of a small process", [&] { return small.measure(100); });
    large.row("Process by fork", [] { return each(process<>, 5); });
    large.row("Process by forkserver", [] { return each(process<mp::ForkServerProcess>, 100); });
    large.row("Process by spawn", [] { return each(process<mp::SpawnProcess>, 20); });
    large.target("Process by forkserver", "bare fork of a small process", false, 3.0);
    large.run(rounds);
}
