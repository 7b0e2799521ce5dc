#include <multifork/platform/wait_before.hpp>
#include <multifork/pool/wait.hpp>

#include <fmt/format.h>

namespace multifork::detail {

void Arrivals::add(std::list<std::size_t>& place, bool has_failed) noexcept {
    {
        const std::scoped_lock hold(mutex);
        arrived.splice(arrived.end(), place);
        failed = failed || has_failed;
    }
    more.notify_one();
}

std::optional<std::size_t> Arrivals::next_before(platform::Deadline deadline) {
    std::unique_lock lock(mutex);
    if (!platform::wait_before(more, lock, deadline, [this] { return !arrived.empty(); }))
        return std::nullopt;
    const std::size_t place = arrived.front();
    arrived.pop_front();
    return place;
}

void throw_unfinished(std::size_t unfinished, std::size_t all) {
    throw TimedOut(fmt::format("{} (of {}) futures unfinished", unfinished, all));
}

} // namespace multifork::detail
