#include "process/self.hpp"

#include "platform/immortal.hpp"
#include "platform/system.hpp"
#include "process/child.hpp"
#include "process/fork_server.hpp"
#include "process/lifeline.hpp"
#include "process/start_method.hpp"

#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <sys/random.h>

#include <cerrno>
#include <cstddef>

// What this process knows about itself, and this floor's locks over a fork, whoever forks: the
// child finds them free, and what they protect whole, although the threads that used them are not
// there. (The lower floors do the same in arena/tree_space.cpp.)

namespace multifork::detail {
namespace {

constinit platform::Immortal<Self> the_self;

extern "C" void before_fork_of_process() {
    lock_children_for_fork();
    lock_fork_server_for_fork();
    lock_start_method_for_fork();
    if (!MULTIFORK_MUTANT(self_unheld))
        self().mutex.lock();
    lock_lifeline_for_fork();
}

extern "C" void after_fork_in_parent_process() {
    unlock_lifeline_after_fork();
    if (!MULTIFORK_MUTANT(self_unheld))
        self().mutex.unlock();
    unlock_start_method_after_fork();
    unlock_fork_server_after_fork();
    unlock_children_after_fork();
}

extern "C" void after_fork_in_child_process() {
    cut_lifeline_in_child();
    if (!MULTIFORK_MUTANT(self_unheld))
        self().mutex.unlock();
    unlock_start_method_after_fork();
    forget_fork_server_in_child();
    unlock_children_after_fork();
}

// After the arena's (200): the handlers registered last are the first to run before a fork, and
// whoever holds one of these mutexes may want the arena's.
[[gnu::constructor(201)]] void watch_forks() {
    ::pthread_atfork(before_fork_of_process, after_fork_in_parent_process,
                     after_fork_in_child_process);
}

} // namespace

Self& self() noexcept {
    return *the_self;
}

NewName next_child_name(std::string_view prefix) {
    Self& me = self();
    const std::scoped_lock hold(me.mutex);
    NewName made{me.identity, {}};
    made.identity.push_back(++me.children_named);
    made.name = fmt::format("{}-{}", prefix, fmt::join(made.identity, ":"));
    return made;
}

std::string own_authkey() {
    Self& me = self();
    const std::scoped_lock hold(me.mutex);
    if (!me.authkey) {
        std::string key(32, '\0');
        for (std::size_t done = 0; done < key.size();) {
            const ssize_t got = ::getrandom(key.data() + done, key.size() - done, 0);
            if (got < 0 && errno != EINTR)
                platform::throw_errno("asking the kernel for a random key");
            done += got > 0 ? static_cast<std::size_t>(got) : 0;
        }
        me.authkey = std::move(key);
    }
    return *me.authkey;
}

} // namespace multifork::detail
