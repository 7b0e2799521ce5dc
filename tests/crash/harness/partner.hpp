#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include <sys/types.h>

// The other processes of a round: they wait, are woken, and must not notice that somebody died.

namespace multifork::test::crash {

/// What a partner does; the result is what the round's check looks at.
using Job = std::function<std::uint64_t()>;

/// A process that attaches to the arena, parks until it is told to set out, does its job, and says
/// so in a page that it shares with the test.
///
/// It is forked before the victim sets out, because a fork takes the arena's lock, which a victim
/// that stands still may hold.
class Partner {
public:
    explicit Partner(Job job);
    /// Kills.
    ~Partner();
    Partner(const Partner&) = delete;
    Partner& operator=(const Partner&) = delete;

    void set_out();
    [[nodiscard]] bool done() const;
    [[nodiscard]] bool asleep() const;
    /// Waits until it is done or asleep. \throws Failure when it is neither
    void await_rest();
    /// Waits until it is done. \return false when it hangs
    [[nodiscard]] bool await_done();
    /// What the job returned. \throws Failure when an exception left it
    [[nodiscard]] std::uint64_t result() const;
    [[nodiscard]] std::string state() const;

private:
    struct Slate;
    Slate* slate_;
    pid_t pid_ = -1;
};

/// Another process does `act`, and dies.
void do_and_die(const std::function<void()>& act);

} // namespace multifork::test::crash
