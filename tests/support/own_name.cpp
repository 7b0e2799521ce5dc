#include "support/own_name.hpp"

#include <unistd.h>

namespace multifork::test {
namespace {

const pid_t this_program = getpid(); // in forked children as well

} // namespace

std::string own_name(const std::string& stem) {
    return stem + "-t" + std::to_string(this_program) + "-own";
}

} // namespace multifork::test
