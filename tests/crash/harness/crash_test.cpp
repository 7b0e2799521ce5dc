#include "crash/harness/crash_test.hpp"

#include <multifork/liveness/tuning.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace multifork::test::crash {

void no_backstop(unsigned spins) {
    auto& tuning = liveness::tuning();
    tuning.tick_ns = 0;
    tuning.spins = spins;
    tuning.yields = spins;
}

namespace {

void print(const Report& report) {
    std::array<char, 256> line{};
    std::snprintf(line.data(), line.size(),
                  "%-66s %5lu instructions, %6lu kills, %5.0f kills/s, %lu strayed, %zu failures\n",
                  report.name.c_str(), report.instructions, report.kills,
                  static_cast<double>(report.kills) / report.seconds, report.strayed,
                  report.failures.size());
    std::fputs(line.data(), stdout);
    std::fflush(stdout);
    // Also there, where tests/run adds up what all the tests have done.
    if (const char* const log = std::getenv("MULTIFORK_CRASH_LOG"))
        if (std::FILE* const file = std::fopen(log, "a")) {
            std::fputs(line.data(), file);
            std::fclose(file);
        }
}

} // namespace

void expect_clean(const Report& report) {
    print(report);
    BOOST_TEST(report.instructions > 0, report.name << ": nothing was stepped through");
    for (const std::string& failure : report.failures)
        BOOST_ERROR(failure);
}

void expect_caught(const Report& report, mutants::Mutant mutant) {
    print(report);
    for (const std::string& failure : report.failures)
        std::printf("  caught: %s\n", failure.c_str());
    BOOST_TEST(!report.failures.empty(),
               report.name << ": mutant " << static_cast<int>(mutant) << " was not noticed");
}

} // namespace multifork::test::crash
