#include <multifork/error.hpp>
#include <multifork/version.hpp>

#include <fmt/core.h>

// A program that has nothing but the installed (or embedded) package.
int main() {
    try {
        throw multifork::InvalidArgument("thrown by the consumer");
    } catch (const multifork::Error& error) {
        fmt::print("multifork {}: caught '{}'\n", multifork::version(), error.what());
    }
}
