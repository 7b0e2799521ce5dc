#pragma once

#include "arena/layout.hpp"
#include "platform/system.hpp"
#include "process/board.hpp"
#include "process/self.hpp"

#include <multifork/platform/clock.hpp>
#include <multifork/process/process.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace multifork::detail {

/// "Process", "SpawnProcess", ...: what it is, and the beginning of its name if nobody gives one.
[[nodiscard]] std::string_view class_name(std::optional<StartMethod> method) noexcept;

/// What the parent keeps about one child; shared by a Process and its handles.
struct Child {
    Child(ProcessOptions options, NewName made);

    // Set before start, constant afterwards:
    std::string name;
    bool daemon = false;
    std::optional<StartMethod> method; ///< nothing: the default at start()
    std::vector<std::uint32_t> identity;
    int parent_pid = 0;

    // Under the mutex:
    mutable std::mutex mutex;
    bool started = false;
    bool closed = false;
    int pid = 0;
    std::optional<int> exitcode;
    std::shared_ptr<const platform::Descriptor> pidfd; ///< whoever waits keeps it open; or none
    arena::Object board;
    std::vector<arena::Object> kept; ///< named objects that the child may not have opened yet
    arena::ProcessId record;         ///< in the arena's table of processes

    /// The pidfd's number, or -1. The mutex is held.
    [[nodiscard]] int descriptor() const noexcept { return pidfd ? pidfd->get() : -1; }
    /// Looks whether the child has ended, and if so reaps it. The mutex is held.
    bool reap_locked();
    /// Waits for the end; without the mutex. \return whether it has ended
    bool wait(platform::Deadline deadline);
    /// \throws ProcessError unless the caller is the parent and close() was not called
    void check_parent(const char* verb) const;
    void check_open() const;
    void signal(int number);
};

/// Notes a child that is about to be started; its mutex is held.
void remember_child(const std::shared_ptr<Child>& child);
/// In a child of a process with several threads, any of which may have been using a sibling's
/// handle: lets the child ask siblings their names.
void free_siblings() noexcept;
void lock_children_for_fork();
void unlock_children_after_fork() noexcept;

} // namespace multifork::detail
