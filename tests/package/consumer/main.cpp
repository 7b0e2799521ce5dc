#include <multifork/error.hpp>
#include <multifork/process/context.hpp>
#include <multifork/version.hpp>

#include <fmt/core.h>

#include <cstdlib>

// A program that has nothing but the installed (or embedded) package. Its children are spawned and
// forked by a server without any guard in main(), also when the library is a shared one.
int main() {
    for (const char* method : {"fork", "spawn", "forkserver"}) {
        auto child = multifork::get_context(method).process([](int code) { std::exit(code); }, 7);
        child.start();
        child.join();
        if (child.exitcode() != 7)
            return 1;
    }
    try {
        throw multifork::InvalidArgument("thrown by the consumer");
    } catch (const multifork::Error& error) {
        fmt::print("multifork {}: caught '{}'\n", multifork::version(), error.what());
    }
}
