#include "crash/harness/crash_test.hpp"

#include <multifork/liveness/tuning.hpp>

#include <cstdio>

namespace multifork::test::crash {

void no_backstop(unsigned spins) {
    auto& tuning = liveness::tuning();
    tuning.tick_ns = 0;
    tuning.spins = spins;
    tuning.yields = spins;
}

namespace {

void print(const Report& report) {
    std::printf("%-66s %5lu instructions, %6lu kills, %5.0f kills/s, %lu strayed, %zu failures\n",
                report.name.c_str(), report.instructions, report.kills,
                static_cast<double>(report.kills) / report.seconds, report.strayed,
                report.failures.size());
    std::fflush(stdout);
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
