#include <multifork/multifork.hpp>

#include "process/fork_server.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace fs = std::filesystem;

// What start() refuses, and that there is no child then, and nothing else.

namespace {

constexpr const char* others[] = {"spawn", "forkserver"};

/// What a process has that a start in vain must not change.
struct Holdings {
    std::size_t descriptors = support::open_descriptors();
    std::uint64_t blocks = mp::arena::arena_usage().blocks_used;
    std::size_t children = mp::active_children().size();
    bool operator==(const Holdings&) const = default;
};

/// Neither has bytes that mean anything elsewhere, nor does the codec know it.
struct OpenFile {
    OpenFile() = default;
    OpenFile(const OpenFile& /*other*/) {}
    std::FILE* file = nullptr;
};

struct Touchy {
    bool refuses = false;
    std::string text; // not trivially copyable: else its bytes would do
    template <class Archive>
    void serialize(Archive& archive) {
        if (refuses)
            throw std::runtime_error("will not be sent");
        archive(refuses, text);
    }
};

class Derived : public mp::Process {
public:
    Derived() = default;
    explicit Derived(mp::StartMethod method)
        : mp::Process({.name = "Derived-1", .start_method = method}) {}

protected:
    void run() override {}
};

template <class E, class Make>
void expect_refused(Make make, std::initializer_list<std::string_view> words) {
    const support::ServerStops at_the_end;
    for (const char* method : others) {
        BOOST_TEST_CONTEXT("by " << method) {
            const auto context = mp::get_context(method);
            support::run_in_child(context, [] {}); // so that arena and server are there
            mp::Process child = make(context);
            const Holdings before;
            for (int i = 0; i < 3; ++i)
                support::expect_error<E>([&] { child.start(); }, words);
            BOOST_TEST((Holdings() == before));
            BOOST_TEST(!child.pid().has_value());
            BOOST_TEST(!child.is_alive());
            BOOST_CHECK_THROW(child.join(), mp::ProcessError);
        }
    }
}

/// Spawned children run that program, until this goes.
struct Executable {
    explicit Executable(const fs::path& path) { mp::set_executable(path); }
    ~Executable() { mp::set_executable(""); }
    Executable(const Executable&) = delete;
    Executable& operator=(const Executable&) = delete;
};

/// A thread with a name, which waits until this goes.
class NamedThread {
public:
    NamedThread() : thread_([this] { wait(); }) {
        ::pthread_setname_np(thread_.native_handle(), "companion");
    }
    ~NamedThread() {
        {
            const std::scoped_lock hold(mutex_);
            end_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    NamedThread(const NamedThread&) = delete;
    NamedThread& operator=(const NamedThread&) = delete;

private:
    void wait() {
        std::unique_lock hold(mutex_);
        changed_.wait(hold, [this] { return end_; });
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool end_ = false;
    std::thread thread_;
};

/// \return how many of two children were refused
int start_two_beside_a_thread() {
    const NamedThread other;
    int refused = 0;
    for (int i = 0; i < 2; ++i) {
        mp::Process child{{.start_method = mp::StartMethod::fork}, [] {}};
        try {
            child.start();
            child.join();
        } catch (const mp::ProcessError& error) {
            refused += std::string(error.what()).find("companion") != std::string::npos;
        }
    }
    return refused;
}

const support::Program warned{"fork policy: the default", start_two_beside_a_thread};
const support::Program warned_in_vain{"fork policy: the default, unheard", [] {
                                          const int full =
                                              ::open("/dev/full", O_WRONLY | O_CLOEXEC);
                                          ::dup2(full, STDERR_FILENO);
                                          return start_two_beside_a_thread();
                                      }};
/// Of the library's own threads a fork needs no warning: the one that watches for a Readiness, and
/// the one that collects what a pool's workers have done.
const support::Program library_threads{
    "fork policy: threads of the library", [] {
        mp::set_fork_policy(mp::fork_with_threads::refuse);
        const mp::Queue<int> queue{1};
        for (int i = 0; i < 50; ++i) {
            const mp::Readiness ready{queue};
            support::run_in_child(mp::get_context("fork"), [&queue] {
                const mp::Readiness childs_own{queue};
                support::run_in_child(mp::get_context("fork"), [] {});
            });
        }
        mp::Pool pool{1};
        return pool.apply([] { return 7; }) + start_two_beside_a_thread();
    }};
const support::Program allowed{"fork policy: allow", [] {
                                   mp::set_fork_policy(mp::fork_with_threads::allow);
                                   return start_two_beside_a_thread();
                               }};
const support::Program refused{"fork policy: refuse", [] {
                                   mp::set_fork_policy(mp::fork_with_threads::refuse);
                                   return start_two_beside_a_thread();
                               }};

} // namespace

// What the compiler knows: ProcessBy<> says it, whose method is part of its type.
static_assert(mp::Crossable<int>);
static_assert(mp::Crossable<std::vector<std::string>>);
static_assert(mp::Crossable<void (*)(int)>);
static_assert(mp::Crossable<mp::Queue<std::string>>);
static_assert(mp::Crossable<std::vector<mp::Lock>>);
static_assert(mp::Crossable<mp::Address>);
static_assert(!mp::Crossable<OpenFile>);
static_assert(!mp::Crossable<std::vector<OpenFile>>);
static_assert(!mp::Crossable<std::thread>);
static_assert(!mp::Crossable<std::mutex>);
static_assert(!mp::Crossable<std::function<void()>>);
static_assert(!mp::Crossable<std::reference_wrapper<int>>);
static_assert(!mp::Crossable<mp::Process>);
static_assert(!mp::Crossable<mp::Finalizer>);

BOOST_AUTO_TEST_SUITE(start_methods_refused)

BOOST_AUTO_TEST_CASE(an_argument_that_cannot_cross_is_named) {
    expect_refused<mp::NotShareable>(
        [](const mp::Context& context) {
            return context.process([](const OpenFile&) {}, OpenFile{});
        },
        {"OpenFile", "cannot cross"});
}

BOOST_AUTO_TEST_CASE(so_is_one_behind_others_that_can) {
    const mp::Lock lock;
    auto [reader, writer] = mp::Pipe<int>(false);
    expect_refused<mp::NotShareable>(
        [&, w = writer](const mp::Context& context) {
            return context.process([](const std::string&, const mp::Lock&,
                                      const mp::Connection<int>&, const std::vector<OpenFile>&) {},
                                   std::string(1000, 'x'), lock, w, std::vector<OpenFile>(2));
        },
        {"OpenFile", "cannot cross"});
    // The end that was on its way is not held by anybody.
    writer.close();
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
}

BOOST_AUTO_TEST_CASE(a_function_object_that_cannot_cross) {
    expect_refused<mp::NotShareable>(
        [](const mp::Context& context) { return context.process(std::function<void()>([] {})); },
        {"std::function<void ()>", "cannot cross"});
}

BOOST_AUTO_TEST_CASE(a_closure_that_captures_by_reference) {
    static int global = 1;
    int local = 1;
    const auto heap = std::make_unique<int>(1);
    expect_refused<mp::NotShareable>(
        [&](const mp::Context& context) { return context.process([&local] { ++local; }); },
        {"captured a reference or a pointer", "capture by value"});
    expect_refused<mp::NotShareable>(
        [&](const mp::Context& context) { return context.process([at = heap.get()] { ++*at; }); },
        {"captured a reference or a pointer"});
    expect_refused<mp::NotShareable>(
        [&](const mp::Context& context) {
            return context.process([n = 1, at = &global] { *at = n; });
        },
        {"captured a reference or a pointer"});
    BOOST_TEST(local == 1);
}

BOOST_AUTO_TEST_CASE(a_closure_that_captures_a_handle) {
    mp::Queue<int> queue{1};
    expect_refused<mp::NotShareable>(
        [&](const mp::Context& context) {
            return context.process([queue]() mutable { queue.put(1); });
        },
        {"cannot cross", "arguments"});
}

BOOST_AUTO_TEST_CASE(what_serialize_throws_comes_out_of_start) {
    expect_refused<std::runtime_error>(
        [](const mp::Context& context) {
            return context.process([](const Touchy&) {}, Touchy{true, {}});
        },
        {"will not be sent"});
}

BOOST_AUTO_TEST_CASE(a_derived_process_with_a_run_of_its_own) {
    const support::ServerStops at_the_end;
    for (const auto method : {mp::StartMethod::spawn, mp::StartMethod::forkserver}) {
        Derived process(method);
        support::expect_error<mp::NotShareable>([&] { process.start(); },
                                                {"Derived-1", "run()", "fork"});
        BOOST_TEST(mp::active_children().empty());
    }
    BOOST_TEST(mp::detail::fork_server_pid() == 0);
    Derived forked(mp::StartMethod::fork);
    forked.start();
    support::expect_exit(forked);

    mp::set_start_method(mp::to_string(mp::StartMethod::spawn), true);
    Derived without_options;
    support::expect_error<mp::NotShareable>([&] { without_options.start(); }, {"run()", "fork"});
    mp::Process plain;
    plain.start();
    support::expect_exit(plain);
    mp::set_start_method(mp::to_string(mp::StartMethod::fork), true);

    // A Process cannot take it over: it would do nothing.
    static_assert(!std::constructible_from<mp::Process, Derived>);
    static_assert(std::constructible_from<mp::Process, mp::SpawnProcess>);
    static_assert(std::movable<Derived>);
}

BOOST_AUTO_TEST_CASE(a_program_that_cannot_be_run) {
    const mp::Lock arena_is_there;
    { // so that what is made once is made
        mp::Process child = mp::get_context("spawn").process([] {});
        child.start();
        support::expect_exit(child);
    }
    for (const char* program : {"/nowhere/at/all", "/", "/etc/passwd"}) {
        const Executable executable(program);
        for (const char* method : others) {
            BOOST_TEST_CONTEXT(program << " by " << method) {
                mp::Process child = mp::get_context(method).process([] {});
                const Holdings before;
                support::expect_error<mp::ProcessError>([&] { child.start(); },
                                                        {program, "cannot be run"});
                BOOST_TEST((Holdings() == before));
                BOOST_TEST(!child.pid().has_value());
            }
        }
    }
    // The process is as it was: it can be started now.
    mp::Process child = mp::get_context("spawn").process([] {});
    {
        const Executable executable("/nowhere/at/all");
        BOOST_CHECK_THROW(child.start(), mp::ProcessError);
    }
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(another_program_in_place_of_this_one) {
    const mp::Value<int> ran{0};
    const auto mark = [](mp::Value<int> tell) { tell.store(1); };
    const auto spawn = mp::get_context("spawn");
    support::run_in_child(spawn, [] {});
    for (const auto& [program, code] :
         std::vector<std::pair<const char*, int>>{{"/bin/true", 0}, {"/bin/false", 1}}) {
        const Holdings before;
        {
            const Executable executable(program);
            mp::Process child = spawn.process(mark, ran);
            child.start();
            support::expect_exit(child, code);
        }
        BOOST_TEST((Holdings() == before));
    }
    const Holdings before;
    {
        const Executable executable("/bin/true");
        mp::Process child = mp::get_context("forkserver").process(mark, ran);
        support::expect_error<mp::ProcessError>([&] { child.start(); }, {"fork server", "died"});
    }
    BOOST_TEST((Holdings() == before));
    BOOST_TEST(ran.load() == 0);
}

BOOST_AUTO_TEST_CASE(the_start_method_is_chosen_once) {
    support::run_in_child([] {
        mp::set_start_method("spawn");
        support::demand(support::throws<mp::ProcessError>([] { mp::set_start_method("spawn"); }));
        support::demand(support::throws<mp::ProcessError>([] { mp::set_start_method("fork"); }));
        support::demand(mp::get_start_method() == "spawn");
        mp::set_start_method("forkserver", true);
        support::demand(mp::get_start_method() == "forkserver");
    });
    // To ask is to choose.
    support::run_in_child([] {
        support::demand(!mp::get_start_method_if_set().has_value());
        support::demand(mp::get_start_method() == "fork");
        support::demand(support::throws<mp::ProcessError>([] { mp::set_start_method("spawn"); }));
    });
    support::run_in_child([] {
        static_cast<void>(mp::get_context());
        support::demand(support::throws<mp::ProcessError>([] { mp::set_start_method("spawn"); }));
        static_cast<void>(mp::get_context("spawn")); // chooses nothing
        support::demand(mp::get_start_method() == "fork");
    });
}

BOOST_AUTO_TEST_CASE(names_that_no_start_method_has) {
    for (const char* name : {"", "Fork", "fork ", "forkserver2", "thread"}) {
        for (const auto& call : std::vector<std::function<void()>>{
                 [&] { mp::set_start_method(name); }, [&] { mp::set_start_method(name, true); },
                 [&] { static_cast<void>(mp::get_context(name)); },
                 [&] { static_cast<void>(mp::start_method_of(name)); }})
            support::expect_error<mp::InvalidArgument>(
                call, {std::string("'") + name + "'", "spawn", "forkserver"});
    }
}

// The arena reserves so many addresses that two small numbers side by side may look like one.
BOOST_AUTO_TEST_CASE(a_number_that_lies_in_the_arena_is_a_number) {
    const mp::Value<int> somewhere{1};
    const auto number = reinterpret_cast<std::uintptr_t>(mp::arena::tree_space().at(1 << 20));
    support::run_in_child(mp::get_context("spawn"), [number] { support::demand(number != 0); });
}

BOOST_AUTO_TEST_CASE(preloading_comes_before_the_server) {
    const support::ServerStops at_the_end;
    support::run_in_child(mp::get_context("forkserver"), [] {});
    support::expect_error<mp::ProcessError>([] { mp::set_forkserver_preload({"libm.so.6"}); },
                                            {"set_forkserver_preload()", "before"});
}

BOOST_AUTO_TEST_CASE(a_fork_beside_threads_is_warned_of_once) {
    const auto result = support::run_program("fork policy: the default");
    BOOST_TEST(result.code == 0);
    const std::size_t first = result.err.find("companion");
    BOOST_TEST(first != std::string::npos, result.err);
    BOOST_TEST(result.err.find("companion", first + 1) == std::string::npos);
    BOOST_TEST(result.err.find("set_fork_policy") != std::string::npos);
    // Where nobody can hear it, that is no error.
    BOOST_TEST(support::run_program("fork policy: the default, unheard").code == 0);
}

// ThreadSanitizer allows no new threads in a child of a process with several.
BOOST_AUTO_TEST_CASE(a_fork_beside_threads_of_the_library_is_not_warned_of,
                     *boost::unit_test::label("no_tsan")) {
    const auto result = support::run_program("fork policy: threads of the library");
    BOOST_TEST(result.code == 9, result.err); // seven, and the two beside a thread of the program
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(a_fork_beside_threads_is_allowed) {
    const auto result = support::run_program("fork policy: allow");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(a_fork_beside_threads_is_refused) {
    const auto result = support::run_program("fork policy: refuse");
    BOOST_TEST(result.code == 2);
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_SUITE_END()
