#include "crash/harness/partner.hpp"

#include "crash/harness/failure.hpp"
#include "crash/harness/victim.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/liveness/domain.hpp>

#include <array>
#include <csignal>
#include <cstring>
#include <exception>
#include <new>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace multifork::test::crash {

struct Partner::Slate {
    std::atomic<std::uint32_t> go;
    std::atomic<std::uint32_t> done; // 1: result counts; 2: an exception left the job
    std::uint64_t result;
    std::array<char, 200> what;
};

Partner::Partner(Job job) {
    void* const page =
        ::mmap(nullptr, sizeof(Slate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        throw Failure("no page for a partner");
    slate_ = new (page) Slate{};
    pid_ = ::fork();
    if (pid_ < 0) {
        ::munmap(slate_, sizeof(Slate));
        throw Failure("no process for a partner"); // and none to kill: -1 would mean all
    }
    if (pid_ != 0)
        return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        static_cast<void>(liveness::attach(arena::tree_space().domain()));
        while (slate_->go == 0)
            ::syscall(SYS_futex, &slate_->go, FUTEX_WAIT, 0, nullptr, nullptr, 0);
        slate_->result = job();
        slate_->done = 1;
    } catch (const std::exception& error) {
        std::strncpy(slate_->what.data(), error.what(), slate_->what.size() - 1);
        slate_->done = 2;
    }
    // It stays until the round is over: its end would ring the bell, and so wake somebody whom the
    // library has forgotten.
    for (;;)
        ::pause();
}

Partner::~Partner() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(slate_, sizeof(Slate));
}

void Partner::set_out() {
    slate_->go = 1;
    ::syscall(SYS_futex, &slate_->go, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

bool Partner::done() const {
    return slate_->done != 0;
}
bool Partner::asleep() const {
    return sleeps_in_library(pid_);
}

void Partner::await_rest() {
    if (!await([&] { return done() || asleep(); }))
        throw Failure("a partner is neither done nor asleep");
}

bool Partner::await_done() {
    return await([&] { return done(); });
}

std::uint64_t Partner::result() const {
    if (slate_->done == 2)
        throw Failure(std::string("an exception left a partner: ") + slate_->what.data());
    return slate_->result;
}

std::string Partner::state() const {
    if (slate_->done == 2)
        return std::string("threw ") + slate_->what.data();
    if (done())
        return "done, result " + std::to_string(slate_->result);
    return slate_->go == 0 ? "parked" : asleep() ? "asleep" : "running";
}

void do_and_die(const std::function<void()>& act) {
    Partner dies([&act] {
        act();
        return std::uint64_t{1};
    });
    dies.set_out();
    if (!dies.await_done())
        throw Failure("the one that was meant to die before the round hangs");
    static_cast<void>(dies.result());
}

} // namespace multifork::test::crash
