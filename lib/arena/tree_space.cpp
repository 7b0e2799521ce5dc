#include "arena/handover.hpp"
#include "arena/named.hpp"
#include "arena/pipe_end.hpp"
#include "arena/space_impl.hpp"

#include <multifork/error.hpp>
#include <multifork/liveness/tuning.hpp>

#include <boost/interprocess/exceptions.hpp>
#include <fmt/core.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

// The arena of the process tree: made at first use by whoever comes first, inherited by fork, and
// never unmapped: the kernel frees the memfd with its last user.

namespace multifork::arena {
namespace {

constexpr std::uint32_t thread_slots = 16384;
constexpr std::uint32_t process_slots = 8192;
constexpr std::size_t default_bytes = 64ull << 30;
constexpr std::size_t least_bytes = 8ull << 20;
constexpr std::size_t most_bytes = 256ull << 30; // owner words have 32 bits for a block's number

constinit std::atomic<Space*> the_tree{nullptr};
constinit std::mutex making; // of the_tree; held over a fork
thread_local ProcessId born;
thread_local bool reserved = false; // born was made by reserve_child() for the fork to come
thread_local bool bare = false;     // born was made by before_fork()
thread_local int errno_before = 0;  // the fork

std::size_t wanted_bytes() {
    const char* text = ::secure_getenv("MULTIFORK_ARENA_BYTES");
    if (text == nullptr || *text == '\0')
        return default_bytes;
    const std::string_view digits(text);
    std::size_t bytes = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
    if (error != std::errc() || end != digits.data() + digits.size() || bytes < least_bytes ||
        bytes > most_bytes)
        throw InvalidArgument(
            fmt::format("MULTIFORK_ARENA_BYTES is '{}'; it must be a number of bytes from {} to {}",
                        digits, least_bytes, most_bytes));
    return bytes / 4096 * 4096;
}

/// A limit on file sizes (ulimit -f) counts for files in memory too, and would end the process by a
/// signal.
std::size_t file_size_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return most_bytes;
    return std::max<std::size_t>(limit.rlim_cur / 4096 * 4096, least_bytes);
}

std::unique_ptr<Space::Impl> make_arena() {
    for (std::size_t bytes = std::min(wanted_bytes(), file_size_limit());; bytes /= 2) {
        try {
            auto file = platform::sealed_memory_file("multifork", bytes);
            const int fd = file.get();
            const SegmentShape shape{bytes, thread_slots, process_slots};
            auto impl = std::make_unique<Space::Impl>(fd, shape, std::move(file));
            Space::Impl::format(impl->mapping.data(), shape);
            impl->heap.segment().magic = segment_magic;
            return impl;
        } catch (const boost::interprocess::interprocess_exception& error) {
            // A limit on the address space (ulimit -v): a smaller reservation may do.
            if (bytes / 2 < least_bytes)
                throw OutOfSharedMemory(fmt::format("no room in the address space for an arena of "
                                                    "even {} bytes ({}); raise ulimit -v",
                                                    bytes, error.what()));
        }
    }
}

// ---- fork
// ---------------------------------------------------------------------------------------------

/// `now`: at the beginning of a handler. 0 is before_fork()'s; and nobody expects a 0 of a fork.
void restore_errno(int now) noexcept {
    errno = now != 0 ? now : errno_before;
}

extern "C" void before_fork() {
    errno_before = errno;
    making.lock();
    Space* const tree = the_tree.load();
    if (tree != nullptr && !reserved) {
        try {
            born = tree->impl().heap.begin_process(platform::process_id(), 0, Birth::fork_to_come);
        } catch (...) {
            born =
                {}; // the table is full: the child makes its record itself, at its first operation
        }
    }
    bare = !reserved;
    reserved = false;
    lock_pipe_ends_for_fork();
    take_pipe_ends_for_child(born);
    lock_named_for_fork();
    if (tree != nullptr)
        tree->impl().hold_for_fork();
    liveness::before_fork();
    errno = 0;
}

extern "C" void after_fork_in_parent() {
    // A fork that has failed says so here, and nowhere else when it is not the library's. But what
    // is here may also be another handler's: so the child is not given up, it only has to come.
    const int error = errno;
    const bool failed = error != 0;
    liveness::after_fork_in_parent();
    unlock_named_after_fork();
    unlock_pipe_ends_after_fork();
    if (Space* const tree = the_tree.load(); tree != nullptr) {
        tree->impl().let_go_after_fork();
        tree->impl().heap.end_birth(born);
    }
    if (bare && failed && born.serial != 0)
        the_tree.load()->impl().heap.doubt_birth(std::exchange(born, {}));
    making.unlock();
    restore_errno(error);
}

void become_the_child() {
    liveness::after_fork_in_child();
    unlock_named_after_fork();
    Space* const tree = the_tree.load();
    if (tree != nullptr) {
        tree->impl().let_go_after_fork();
        tree->impl().become(std::exchange(born, {}));
    }
    making.unlock();
    keep_pipe_ends_in_child(tree != nullptr && tree->impl().self_if_any().has_value());
    unlock_pipe_ends_after_fork();
    if (!holds_pipe_ends())
        return;
    try {
        // From here on the kernel tells those who sleep on a pipe when this process is killed.
        static_cast<void>(liveness::enter(tree->domain()));
    } catch (...) {
        // No slot: until this process has one, they look for it on a tick.
    }
}

extern "C" void after_fork_in_child() {
    const int now = errno;
    become_the_child();
    restore_errno(now);
}

// When the program is loaded: handlers that were registered at the first use could miss a fork by
// another thread at that moment. Before those of the process floor (201), so that at a fork those
// run first.
[[gnu::constructor(200)]] void watch_forks() {
    ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/// The arena of the process that spawned this one.
std::unique_ptr<Space::Impl> join_arena(const Handover& told) {
    platform::Descriptor file(handed_over_descriptor);
    const int fd = file.get();
    const SegmentShape shape{told.bytes, thread_slots, process_slots};
    auto impl = std::make_unique<Space::Impl>(fd, shape, std::move(file));
    const SegmentHeader& header = impl->heap.segment();
    if (header.magic != segment_magic || header.version != layout_version ||
        header.bytes != told.bytes || header.thread_slots != thread_slots ||
        header.process_slots != process_slots)
        throw LayoutMismatch("this process was spawned by a program with another version of "
                             "multifork; name the same program in set_executable()");
    impl->become(told.self);
    return impl;
}

Space* make_tree_space() {
    const bool joins = handover().has_value();
    auto impl = joins ? join_arena(*handover()) : make_arena();
    // A process that came by a raw clone() has no record; it makes one when it first attaches.
    impl->domain.on_enter = [](liveness::Domain& domain) {
        auto& tree = *static_cast<Space::Impl*>(domain.owner);
        if (!tree.self_if_any())
            static_cast<void>(tree.self());
        tree.anchor_here();
    };
    if (!joins)
        impl->set_process_name("MainProcess");
    auto* made = new Space(std::move(impl)); // never deleted: objects outlive static destructors
    the_tree = made;
    // The main thread's keys are not run at exit(); leaving keeps the permits of an orderly end
    // taken. Objects made before this line's static die later and attach once more, which does no
    // harm.
    std::atexit([] {
        leave_named_segments();
        leave_pipe_ends();
        liveness::detach_this_thread();
    });
    return made;
}

} // namespace

Space& tree_space() {
    // acquire: pairs with the store in make_tree_space()
    if (Space* const made = the_tree.load(std::memory_order_acquire); made != nullptr) [[likely]]
        return *made;
    const std::scoped_lock hold(making);
    Space* const made = the_tree.load();
    return made != nullptr ? *made : *make_tree_space();
}

Space* tree_space_if_any() noexcept {
    return the_tree.load();
}

SpaceUsage arena_usage() {
    return tree_space().usage();
}

void set_process_name(std::string_view name) {
    tree_space().impl().set_process_name(name);
}

void reserve_child(std::string_view name) {
    Heap& heap = tree_space().impl().heap;
    born = heap.begin_process(platform::process_id(), 0, Birth::fork_to_come);
    reserved = true;
    auto& stored = heap.records()[born.record].name; // zeroed
    std::memcpy(stored.data(), name.data(), std::min(name.size(), stored.size() - 1));
}

ProcessId take_born() noexcept {
    reserved = false;
    return std::exchange(born, {});
}

void born_as(ProcessId process, std::uint32_t pid) noexcept {
    tree_space().impl().heap.say_pid(process, pid);
}

} // namespace multifork::arena
