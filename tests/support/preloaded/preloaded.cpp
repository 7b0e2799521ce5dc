#include <cstdlib>

// What a test has the fork server preload (set_forkserver_preload()). While it loads it has the
// program make a Lock, and leaves a mark in the environment, which children inherit.

extern "C" void multifork_test_lock_of_a_library(); // the program's

namespace {

[[gnu::constructor]] void load() {
    multifork_test_lock_of_a_library();
    ::setenv("PRELOADED_IN", "this process", 1);
}

} // namespace
