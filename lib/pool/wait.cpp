#include <multifork/pool/wait.hpp>

#include <fmt/format.h>

namespace multifork::detail {

void Arrivals::add(std::size_t place, bool has_failed) {
    {
        const std::scoped_lock hold(mutex);
        arrived.push_back(place);
        failed = failed || has_failed;
    }
    more.notify_one();
}

std::optional<std::size_t> Arrivals::next_before(platform::Deadline deadline) {
    std::unique_lock lock(mutex);
    const auto any = [this] { return !arrived.empty(); };
    if (deadline.is_never())
        more.wait(lock, any);
    else if (!deadline.is_poll())
        more.wait_until(
            lock, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline.ns())),
            any);
    if (arrived.empty())
        return std::nullopt;
    const std::size_t place = arrived.front();
    arrived.pop_front();
    return place;
}

void throw_unfinished(std::size_t unfinished, std::size_t all) {
    throw TimedOut(fmt::format("{} (of {}) futures unfinished", unfinished, all));
}

} // namespace multifork::detail
