#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

// What the library leaves as it was in the process that uses it, and what nobody can do to its
// arena.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

/// A line of /proc/self/status, as in "Threads:" or "SigCgt:" (the signals that have a handler).
std::string status_line(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name))
            return line;
    throw std::runtime_error("no line " + name);
}

std::string threads_and_signals() {
    return status_line("Threads:") + status_line("SigBlk:") + status_line("SigIgn:") +
           status_line("SigCgt:");
}

void use_everything_once() {
    mp::Lock lock;
    mp::Semaphore permits(2);
    mp::Value<int> count(0);
    mp::Queue<std::string> texts(4);
    mp::Event event;
    auto [near, far] = mp::Pipe<int>();
    auto named = mp::Queue<int>::open_or_create("footprint", 4);
    mp::Process child([=]() mutable {
        const std::scoped_lock guard(lock);
        count.update([](int& n) { ++n; });
        texts.put("done");
        event.set();
    });
    child.start();
    event.wait();
    support::demand(permits.try_acquire_for(1ms));
    support::demand(!lock.try_lock_for(1ms) || (lock.unlock(), true));
    support::demand(texts.get() == "done");
    near.send(1);
    support::demand(far.recv() == 1);
    child.join();
}

/// \return 0 when the process has no more threads, and no other handlers and masks, than before
int same_threads_and_signals() {
    const std::string before = threads_and_signals();
    use_everything_once();
    return threads_and_signals() == before ? 0 : 1;
}
const support::Program same_threads_and_signals_program("footprint of threads and signals",
                                                        same_threads_and_signals);

/// The descriptor of the arena, as /proc names it.
int descriptor_of_the_arena() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
        if (target.starts_with("/memfd:multifork"))
            return std::stoi(entry.path().filename().string());
    }
    throw std::runtime_error("the arena has no descriptor");
}

} // namespace

BOOST_AUTO_TEST_SUITE(footprint)

BOOST_AUTO_TEST_CASE(no_thread_and_no_signal_handler_unless_asked) {
    const auto result = support::run_program("footprint of threads and signals");
    BOOST_TEST(result.code == 0, result.err);
}

BOOST_AUTO_TEST_CASE(nobody_can_cut_the_arena_from_under_the_others) {
    const mp::Value<int> value(7);
    const int arena = descriptor_of_the_arena();
    constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    BOOST_TEST((::fcntl(arena, F_GET_SEALS) & seals) == seals);
    BOOST_TEST(::ftruncate(arena, 0) == -1);
    BOOST_TEST(errno == EPERM);
    BOOST_TEST(value.load() == 7);
}

BOOST_AUTO_TEST_SUITE_END()
