#pragma once

#include <set>
#include <string>
#include <vector>

#include <sys/types.h>

/// \file
/// What a test case leaves behind: processes and entries of /dev/shm.
///
/// The main() in this folder looks after every case and fails the ones that leave something.

namespace multifork::test {

/// What was there before a case, and what is new after it.
///
/// A process counts if it is a child of this one, zombie or not, or runs in the same process group
/// (an orphaned grandchild). An entry of /dev/shm counts if its name begins with "multifork",
/// unless it carries the mark of another test process (see unique_name()): tests run side by side.
class Leftovers {
public:
    void remember();

    /// Waits a moment for what is just ending, then kills and removes the rest, so that it cannot
    /// disturb other tests. One line of description for each.
    [[nodiscard]] std::vector<std::string> clean_up() const;

private:
    struct Found;
    [[nodiscard]] Found find() const;

    std::set<pid_t> processes_;
    std::set<std::string> entries_;
};

/// Says that a process is meant to outlive the case, as a fork server does.
void expect_leftover_process(pid_t process);

/// A name for a named object that no other test uses, as in "jobs-t4242-1". Tests of named objects
/// take their names from here.
[[nodiscard]] std::string unique_name(const std::string& stem);

} // namespace multifork::test
