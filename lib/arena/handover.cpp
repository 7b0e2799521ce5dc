#include "arena/handover.hpp"

#include "arena/pipe_end.hpp"
#include "arena/space_impl.hpp"

#include <multifork/arena/crossing.hpp>
#include <multifork/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace multifork::arena {
namespace {

constexpr const char* variable_name = "MULTIFORK_CHILD";

constinit std::optional<Handover> noted;
thread_local ProcessId bound_for;

Heap& tree_heap() {
    return tree_space().impl().heap;
}

// Before the static objects of shared libraries that use this one, where it is shared itself: they
// come before the program's start code, which calls it too.
[[gnu::constructor(199)]] void take_handover_early() {
    take_handover();
}

} // namespace

int arena_descriptor() {
    const Space::Impl& impl = tree_space().impl();
    if (!impl.heap.fd_is_ours())
        throw Error(std::errc::bad_file_descriptor,
                    "this program has closed the descriptor of its shared memory, which a child "
                    "that is not forked needs; close only what you have opened, or use start "
                    "method fork");
    return impl.fd.get();
}

std::string handover_variable(const Handover& handover) {
    return fmt::format("{}={:x}.{:x}.{:x}.{:x}.{:x}.{:x}", variable_name, handover.bytes,
                       handover.self.record, handover.self.serial, handover.parcel,
                       handover.parcel_bytes, handover.descriptors);
}

bool has_borrowed_rights() noexcept {
    return ::getauxval(AT_SECURE) != 0;
}

void take_handover() noexcept {
    const char* const text = std::getenv(variable_name);
    if (text == nullptr)
        return;
    if (has_borrowed_rights()) {
        // Whoever runs a set-user-ID program chooses its environment and its descriptors. An order
        // from there is code for it to run; and to enter main() could be a fork bomb.
        constexpr std::string_view why =
            "multifork: this program runs with other rights than who started it, and takes no "
            "orders by MULTIFORK_CHILD\n";
        static_cast<void>(!::write(STDERR_FILENO, why.data(), why.size()));
        ::_exit(1);
    }
    Handover told;
    if (std::sscanf(text, "%lx.%x.%lx.%lx.%lx.%lx", &told.bytes, &told.self.record,
                    &told.self.serial, &told.parcel, &told.parcel_bytes, &told.descriptors) == 6) {
        noted = told;
        // All that it was given, before anything here can run another program.
        for (int fd = handed_over_descriptor; ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; ++fd) {
        }
    }
    ::unsetenv(variable_name);
}

const std::optional<Handover>& handover() noexcept {
    return noted;
}

ProcessId begin_child(std::string_view name, bool inherits) {
    Heap& heap = tree_heap();
    const ProcessId child = heap.begin_process(platform::process_id(), 0,
                                               inherits ? Birth::forked : Birth::inherits_nothing);
    auto& stored = heap.records()[child.record].name; // zeroed
    std::memcpy(stored.data(), name.data(), std::min(name.size(), stored.size() - 1));
    return child;
}

void end_child(ProcessId child) noexcept {
    tree_heap().end_process(child);
}

std::uint64_t give_parcel(std::span<const std::byte> bytes, const Cargo& cargo, ProcessId child) {
    Space& space = tree_space();
    const std::uint64_t offset = space.allocate(bytes.size(), Kind::bytes);
    try {
        std::memcpy(space.at(offset), bytes.data(), bytes.size());
        cargo.load_onto(space, offset);
        tree_heap().give_to_process(offset - sizeof(BlockHeader), child); // COMMIT
    } catch (...) {
        space.free(offset);
        throw;
    }
    return offset;
}

Parcel::Parcel(std::uint64_t offset, std::uint64_t bytes) : offset_(offset) {
    Space& space = tree_space();
    if (!tree_heap().take_from_process(offset - sizeof(BlockHeader), space.impl().self()))
        throw CorruptSharedMemory("the parcel of this child process is not there; look for a "
                                  "process that writes where it should not");
    bytes_ = {space.checked(offset, bytes), static_cast<std::size_t>(bytes)};
}
Parcel::~Parcel() {
    tree_space().free(offset_);
}

BoundFor::BoundFor(ProcessId child) noexcept {
    bound_for = child;
}
BoundFor::~BoundFor() {
    bound_for = {};
}
ProcessId BoundFor::destination() noexcept {
    return bound_for;
}

void before_clone() {
    liveness::before_fork();
}
void after_clone_in_parent() noexcept {
    liveness::after_fork_in_parent();
}
void after_clone_in_child(ProcessId born) noexcept {
    liveness::after_fork_in_child();
    tree_space().impl().become(born);
    keep_pipe_ends_in_child(false);
}

} // namespace multifork::arena
