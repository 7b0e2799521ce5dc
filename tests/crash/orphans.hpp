#pragma once

#include "crash/harness/failure.hpp"

#include <cerrno>

#include <sys/prctl.h>
#include <sys/wait.h>

// The children of a victim: at its death they are handed to this process.

namespace multifork::test::crash {

inline void adopt_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/// Waits until all of them have ended. \return false if one lives
inline bool reap_orphans() {
    return await([] {
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD;
    });
}

} // namespace multifork::test::crash
