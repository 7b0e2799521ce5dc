#include "arena/named.hpp"
#include "arena/space_impl.hpp"

#include <multifork/error.hpp>
#include <multifork/liveness/tuning.hpp>

#include <boost/interprocess/exceptions.hpp>
#include <fmt/core.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

// The arena of the process tree: made at first use by whoever comes first, inherited by fork, and
// never unmapped: the kernel frees the memfd with its last user.

namespace multifork::arena {
namespace {

constexpr std::uint32_t thread_slots = 16384;
constexpr std::uint32_t process_slots = 8192;
constexpr std::size_t default_bytes = 64ull << 30;
constexpr std::size_t least_bytes = 8ull << 20;

std::atomic<Space*> the_tree{nullptr};
thread_local Born born{false, 0};

std::size_t wanted_bytes() {
    const char* text = std::getenv("MULTIFORK_ARENA_BYTES");
    if (text == nullptr || *text == '\0')
        return default_bytes;
    const std::string_view digits(text);
    std::size_t bytes = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
    if (error != std::errc() || end != digits.data() + digits.size() || bytes < least_bytes)
        throw InvalidArgument(
            fmt::format("MULTIFORK_ARENA_BYTES is '{}'; it must be a number of bytes, at least {}",
                        digits, least_bytes));
    return bytes / 4096 * 4096;
}

std::unique_ptr<Space::Impl> make_arena() {
    for (std::size_t bytes = wanted_bytes();; bytes /= 2) {
        try {
            auto file = platform::sealed_memory_file("multifork", bytes);
            const int fd = file.get();
            auto impl = std::make_unique<Space::Impl>(fd, bytes, std::move(file));
            Space::Impl::format(impl->mapping.data(), bytes, thread_slots, process_slots);
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

extern "C" void before_fork() {
    born = {false, 0};
    try {
        born = {true, the_tree.load()->impl().heap.begin_process(platform::process_id())};
    } catch (...) {
        // The table is full: the child makes its record itself, at its first use of the arena.
    }
    lock_named_for_fork();
    liveness::before_fork();
}

extern "C" void after_fork_in_parent() {
    liveness::after_fork_in_parent();
    unlock_named_after_fork();
}

extern "C" void after_fork_in_child() {
    liveness::after_fork_in_child();
    unlock_named_after_fork();
    if (born.any)
        the_tree.load()->impl().become(born.record);
}

Space* make_tree_space() {
    auto impl = make_arena();
    static_cast<void>(impl->self());
    impl->set_process_name("MainProcess");
    auto* made = new Space(std::move(impl)); // never deleted: objects outlive static destructors
    the_tree = made;
    ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    // The main thread's keys are not run at exit(); leaving keeps the permits of an orderly end
    // taken. Objects made before this line's static die later and attach once more, which does no
    // harm.
    std::atexit([] {
        leave_named_segments();
        liveness::detach_this_thread();
    });
    return made;
}

} // namespace

Space& tree_space() {
    static Space* const tree = make_tree_space();
    return *tree;
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

Born take_born() noexcept {
    return std::exchange(born, Born{false, 0});
}

void name_born(std::uint32_t index, std::uint32_t pid, std::string_view name) noexcept {
    ProcessRecord& record = tree_space().impl().heap.records()[index];
    const std::size_t length = std::min(name.size(), record.name.size() - 1);
    std::memcpy(record.name.data(), name.data(), length);
    record.pid = pid;
}

} // namespace multifork::arena
