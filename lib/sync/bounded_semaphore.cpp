#include <multifork/error.hpp>
#include <multifork/sync/bounded_semaphore.hpp>

#include <fmt/format.h>

#include <utility>

namespace multifork {
namespace {

std::int64_t checked_permits(std::int64_t permits) {
    if (permits < 0 || permits > core::max_permits)
        throw InvalidArgument(
            fmt::format("a bounded semaphore of {} permits was asked for; 0 to {} will do", permits,
                        core::max_permits));
    return permits;
}

auto initialiser(std::int64_t permits) {
    return [permits](std::byte* bytes) {
        core::init_semaphore(*reinterpret_cast<core::SemaphoreCell*>(bytes), permits);
    };
}

} // namespace

BoundedSemaphore::BoundedSemaphore(arena::Object object, std::int64_t permits)
    : cell_(reinterpret_cast<core::SemaphoreCell*>(object.data())), limit_(permits),
      domain_(&object.space().domain()), object_(std::move(object)) {}

// Kind::semaphore, because what its cell holds of a thread that ends is settled in the same way.
BoundedSemaphore::BoundedSemaphore(std::int64_t permits)
    : BoundedSemaphore(arena::Object::make(core::semaphore_bytes(checked_permits(permits)),
                                           arena::Kind::semaphore, initialiser(permits)),
                       permits) {}

BoundedSemaphore BoundedSemaphore::named(std::string_view name, arena::OpenMode mode,
                                         std::int64_t permits) {
    arena::Identity identity;
    identity.kind = arena::Kind::semaphore;
    identity.type_name = "bounded semaphore";
    identity.root_bytes = core::semaphore_bytes(checked_permits(permits));
    identity.parameters[0] = static_cast<std::uint64_t>(permits);
    identity.what = "BoundedSemaphore";
    BoundedSemaphore made(arena::named_object(name, mode, identity, initialiser(permits)), permits);
    static_cast<void>(made.cell());
    return made;
}

BoundedSemaphore BoundedSemaphore::create(std::string_view name, std::int64_t permits) {
    return named(name, arena::OpenMode::create, permits);
}
BoundedSemaphore BoundedSemaphore::open(std::string_view name, std::int64_t permits) {
    return named(name, arena::OpenMode::open, permits);
}
BoundedSemaphore BoundedSemaphore::open_or_create(std::string_view name, std::int64_t permits) {
    return named(name, arena::OpenMode::open_or_create, permits);
}
bool BoundedSemaphore::remove(std::string_view name) {
    return arena::remove_named(name);
}

void BoundedSemaphore::release(std::int64_t permits) {
    if (permits < 1)
        throw InvalidArgument(
            fmt::format("release({}): at least one permit must be given back", permits));
    if (!core::semaphore_release(cell(), *domain_, permits, limit_))
        throw InvalidArgument(
            fmt::format("release({}) of a bounded semaphore that was made with {} permits would "
                        "make more of them; release only what was acquired",
                        permits, limit_));
}

void BoundedSemaphore::throw_corrupt() {
    throw CorruptSharedMemory(
        "a bounded semaphore says that its ledger has another size than when it was made: its "
        "memory was overwritten; make a new semaphore, and look for a process that writes where "
        "it should not");
}

std::int64_t BoundedSemaphore::value() const {
    return core::semaphore_value(cell(), *domain_);
}

std::string BoundedSemaphore::to_string() const {
    return fmt::format("<BoundedSemaphore value={} of {}>", value(), limit_);
}

arena::Crossing BoundedSemaphore::crossing() const {
    return {object_, {static_cast<std::uint64_t>(limit_), 0}};
}

BoundedSemaphore BoundedSemaphore::arrive(const arena::Crossing& crossing) {
    BoundedSemaphore arrived(crossing.object, static_cast<std::int64_t>(crossing.words[0]));
    static_cast<void>(arrived.cell());
    return arrived;
}

} // namespace multifork
