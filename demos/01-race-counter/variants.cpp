#include "variants.hpp"

#include "toolkit/team.hpp"

#include <multifork/multifork.hpp>

#include <mutex>

namespace demo {
namespace mp = multifork;

std::string name_of(Variant variant) {
    switch (variant) {
    case Variant::no_lock:
        return "no lock";
    case Variant::lock:
        return "Lock";
    case Variant::semaphore:
        return "Semaphore(1)";
    case Variant::atomic:
        return "fetch_add";
    }
    return "?";
}

Outcome race(Variant variant, int processes, int increments,
             const std::function<void(int)>& watch) {
    mp::Value<int> counter{0};
    mp::Lock lock;
    mp::Semaphore semaphore{1};

    const auto work = [&](int) {
        switch (variant) {
        case Variant::no_lock:
            for (int i = 0; i < increments; ++i)
                counter.value() += 1; // a load, an addition, a store: others can get in between
            break;
        case Variant::lock:
            for (int i = 0; i < increments; ++i) {
                const std::scoped_lock hold{lock};
                counter.value() += 1;
            }
            break;
        case Variant::semaphore:
            for (int i = 0; i < increments; ++i) {
                semaphore.acquire();
                counter.value() += 1;
                semaphore.release();
            }
            break;
        case Variant::atomic:
            for (int i = 0; i < increments; ++i)
                counter.fetch_add(1); // one instruction that nobody can get into
            break;
        }
    };

    TeamResult team = run_together(processes, work, [&] { watch(counter.value()); });
    Outcome outcome{variant, std::int64_t{processes} * increments, counter.load(), 0,
                    std::move(team.fallen)};
    outcome.ns_each =
        static_cast<double>(team.took.count()) / static_cast<double>(outcome.expected);
    return outcome;
}

} // namespace demo
