#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace fs = std::filesystem;

namespace {

std::string own_path() {
    return fs::read_symlink("/proc/self/exe").string();
}

/// Spawned children run that program, until this goes.
struct Executable {
    explicit Executable(const fs::path& path) { mp::set_executable(path); }
    ~Executable() { mp::set_executable(""); }
    Executable(const Executable&) = delete;
    Executable& operator=(const Executable&) = delete;
};

struct Folder {
    Folder() {
        std::string name = (fs::temp_directory_path() / "mp-start-XXXXXX").string();
        BOOST_TEST_REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    fs::path path;
};

/// Takes /proc away from this process, which must have one thread.
bool hide_proc() {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0;
}

constexpr int cannot_hide = 77;

/// \return 0 when `start` says that it does not know the program's path, and there is no child
int refused_for_want_of_a_path(mp::StartMethod method) {
    mp::Process child{{.start_method = method}, [] {}};
    try {
        child.start();
    } catch (const mp::ProcessError& error) {
        return std::string(error.what()).find("set_executable") != std::string::npos &&
                       mp::active_children().empty()
                   ? 0
                   : 2;
    }
    return 3;
}

const support::Program without_proc{
    "without /proc", [] {
        mp::Queue<int> queue{1};
        mp::Process forked{{.start_method = mp::StartMethod::fork}, [&] { queue.put(42); }};
        forked.start();
        forked.join();
        if (forked.exitcode() != 0 || queue.try_get() != 42)
            return 1;
        for (const auto method : {mp::StartMethod::spawn, mp::StartMethod::forkserver})
            if (const int wrong = refused_for_want_of_a_path(method); wrong != 0)
                return wrong;
        // Who says where the program is can spawn.
        mp::set_executable(std::getenv("OWN_PATH"));
        mp::Process spawned{{.start_method = mp::StartMethod::spawn},
                            [](mp::Queue<int> out) { out.put(43); },
                            queue};
        spawned.start();
        spawned.join();
        return spawned.exitcode() == 0 && queue.try_get() == 43 ? 0 : 4;
    }};

} // namespace

BOOST_AUTO_TEST_SUITE(start)

// Strings and filesystem paths are one parameter here.
MULTIFORK_EACH_START_METHOD(T_001_set_executable) {
    const std::string path = own_path();
    const Folder folder;
    const fs::path linked = folder.path / "the same program";
    fs::create_symlink(path, linked);
    const fs::path copied = folder.path / "a copy";
    fs::copy_file(path, copied);
    for (const fs::path& each : {fs::path(path), fs::path(path.c_str()), linked, copied}) {
        const Executable executable(each);
        mp::Queue<std::string> runs{1};
        support::run_in_child(
            context, [](mp::Queue<std::string> tell) { tell.put(own_path()); }, runs);
        // A fork server that runs already is what it was.
        BOOST_TEST(runs.get() == (context.start_method() == mp::StartMethod::spawn
                                      ? fs::canonical(each).string()
                                      : path));
    }
    mp::SpawnProcess without_target;
    without_target.start();
    support::expect_exit(without_target);
}

// As in a sandbox that hides /proc. The program is a fresh one: the library loads there, too.
// The sanitizers' runtimes need /proc themselves.
BOOST_AUTO_TEST_CASE(T_017_a_program_that_does_not_know_its_path_spawn,
                     *boost::unit_test::label("no_asan") * boost::unit_test::label("no_tsan")) {
    const Folder folder;
    const std::string path = own_path();
    const std::string err = folder.path / "stderr";
    support::RawChild child([&] {
        if (!hide_proc())
            return cannot_hide;
        ::setenv("MULTIFORK_TEST_PROGRAM", "without /proc", 1);
        ::setenv("OWN_PATH", path.c_str(), 1);
        ::dup2(::open(err.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), STDERR_FILENO);
        ::execl(path.c_str(), path.c_str(), static_cast<char*>(nullptr));
        return 127;
    });
    const int code = child.wait();
    if (code == cannot_hide)
        return support::skip("needs to be allowed a mount namespace");
    BOOST_TEST(code == 0);
    std::ifstream file(err);
    BOOST_TEST(std::string(std::istreambuf_iterator<char>(file), {}) == "");
}

BOOST_AUTO_TEST_SUITE_END()
