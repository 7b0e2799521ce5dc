#include <multifork/error.hpp>
#include <multifork/sync/bounded_semaphore.hpp>

#include <fmt/format.h>

namespace multifork {
namespace {

constexpr const char* noun = "bounded semaphore";

} // namespace

BoundedSemaphore::BoundedSemaphore(std::int64_t permits)
    : BoundedSemaphore(Semaphore(permits, noun), permits) {}

BoundedSemaphore BoundedSemaphore::create(std::string_view name, std::int64_t permits) {
    return {Semaphore::named(name, arena::OpenMode::create, permits, noun), permits};
}
BoundedSemaphore BoundedSemaphore::open(std::string_view name, std::int64_t permits) {
    return {Semaphore::named(name, arena::OpenMode::open, permits, noun), permits};
}
BoundedSemaphore BoundedSemaphore::open_or_create(std::string_view name, std::int64_t permits) {
    return {Semaphore::named(name, arena::OpenMode::open_or_create, permits, noun), permits};
}
bool BoundedSemaphore::remove(std::string_view name) {
    return Semaphore::remove(name);
}

void BoundedSemaphore::release(std::int64_t permits) const {
    if (!semaphore_.release_within(permits, limit_))
        throw InvalidArgument(
            fmt::format("release({}) of a bounded semaphore that was made with {} permits would "
                        "make more of them; release only what was acquired",
                        permits, limit_));
}

std::string BoundedSemaphore::to_string() const {
    return fmt::format("<BoundedSemaphore value={} of {}>", value(), limit_);
}

arena::Crossing BoundedSemaphore::crossing() const {
    return {semaphore_.crossing().object, {static_cast<std::uint64_t>(limit_), 0}};
}

BoundedSemaphore BoundedSemaphore::arrive(const arena::Crossing& crossing) {
    const auto permits = static_cast<std::int64_t>(crossing.words[0]);
    return {Semaphore::arrive({crossing.object, {core::semaphore_ledger_size(permits), 0}}),
            permits};
}

} // namespace multifork
