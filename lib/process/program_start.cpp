#include "process/program_start.hpp"

#include "process/in_child.hpp"
#include "process/lifeline.hpp"
#include "process/order.hpp"

#include <multifork/platform/export.hpp>

#include <dlfcn.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

// Where a spawned child takes another way than main().
//
// The start code of every program calls __libc_start_main(main, ...), which runs the program's
// static initialisers and then main(). The library defines that function too: it notes what the
// environment says, and calls the C library's with a main() of its own. So in a spawned child all
// static objects of the program are there when its target runs, main() is not entered, and no
// program needs a guard against spawning itself for ever.

namespace {

using Main = int (*)(int, char**, char**);
using StartMain = int(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);

Main real_main = nullptr;
const char* called_as = "";

int main_or_child(int argc, char** argv, char** envp) {
    if (!multifork::arena::handover())
        return real_main(argc, argv, envp);
    return multifork::detail::follow_order(*multifork::arena::handover());
}

} // namespace

extern "C" MULTIFORK_API int __libc_start_main(Main main, int argc, char** argv, void (*init)(),
                                               void (*fini)(), void (*rtld_fini)(), void* stack) {
    real_main = main;
    if (argc > 0)
        called_as = argv[0];
    multifork::arena::take_handover();
    if (multifork::arena::handover()) {
        // First of all, so that it runs last: this process's static objects are its own, and go
        // before it does.
        ::on_exit(multifork::detail::end_of_child, nullptr);
        multifork::detail::take_lifeline(multifork::detail::lifeline_place);
        const char* const slash = std::strrchr(called_as, '/');
        multifork::detail::take_passed(*multifork::arena::handover());
        ::prctl(PR_SET_NAME, slash != nullptr ? slash + 1 : called_as, 0, 0, 0);
    }
    auto* const next = reinterpret_cast<StartMain*>(::dlsym(RTLD_NEXT, "__libc_start_main"));
    if (next == nullptr)
        ::_exit(127); // no C library that could start anything
    return next(main_or_child, argc, argv, init, fini, rtld_fini, stack);
}

namespace multifork::detail {

bool takes_over_before_main() noexcept {
    return real_main != nullptr;
}

std::string program_name() {
    return called_as;
}

} // namespace multifork::detail
