#include <multifork/error.hpp>
#include <multifork/sync/semaphore.hpp>

#include <fmt/format.h>

#include <utility>

namespace multifork {
namespace {

constexpr const char* plain_noun = "semaphore";

std::int64_t checked_permits(std::int64_t permits, const char* noun) {
    if (permits < 0 || permits > core::max_permits)
        throw InvalidArgument(fmt::format("a {} of {} permits was asked for; 0 to {} will do", noun,
                                          permits, core::max_permits));
    return permits;
}

auto initialiser(std::int64_t permits) {
    return [permits](std::byte* bytes) {
        core::init_semaphore(*reinterpret_cast<core::SemaphoreCell*>(bytes), permits);
    };
}

} // namespace

Semaphore::Semaphore(arena::Object object)
    : cell_(reinterpret_cast<core::SemaphoreCell*>(object.data())), capacity_(cell_->capacity),
      domain_(&object.space().domain()), object_(std::move(object)) {}

Semaphore::Semaphore(std::int64_t permits) : Semaphore(permits, plain_noun) {}

Semaphore::Semaphore(std::int64_t permits, const char* noun)
    : Semaphore(arena::Object::make(core::semaphore_bytes(checked_permits(permits, noun)),
                                    arena::Kind::semaphore, initialiser(permits))) {}

Semaphore Semaphore::named(std::string_view name, arena::OpenMode mode, std::int64_t permits,
                           const char* noun) {
    arena::Identity identity;
    identity.kind = arena::Kind::semaphore;
    identity.type_name = noun;
    identity.root_bytes = core::semaphore_bytes(checked_permits(permits, noun));
    identity.parameters[0] = static_cast<std::uint64_t>(permits);
    identity.what = noun == plain_noun ? "Semaphore" : "BoundedSemaphore";
    Semaphore made(arena::named_object(name, mode, identity, initialiser(permits)));
    if (made.capacity_ != core::semaphore_ledger_size(permits))
        throw CorruptSharedMemory(fmt::format(
            "the named {} '{}' was overwritten: its ledger has no size that fits; remove it", noun,
            name));
    return made;
}

Semaphore Semaphore::create(std::string_view name, std::int64_t permits) {
    return named(name, arena::OpenMode::create, permits, plain_noun);
}
Semaphore Semaphore::open(std::string_view name, std::int64_t permits) {
    return named(name, arena::OpenMode::open, permits, plain_noun);
}
Semaphore Semaphore::open_or_create(std::string_view name, std::int64_t permits) {
    return named(name, arena::OpenMode::open_or_create, permits, plain_noun);
}
bool Semaphore::remove(std::string_view name) {
    return arena::remove_named(name);
}

bool Semaphore::release_within(std::int64_t permits, std::int64_t limit) const {
    if (permits < 1)
        throw InvalidArgument(
            fmt::format("release({}): at least one permit must be given back", permits));
    return core::semaphore_release(cell(), *domain_, permits, limit);
}

void Semaphore::release(std::int64_t permits) const {
    if (!release_within(permits, core::max_permits))
        throw InvalidArgument(
            fmt::format("release({}) would make more than {} permits", permits, core::max_permits));
}

void Semaphore::throw_corrupt() {
    throw CorruptSharedMemory(
        "a semaphore says that its ledger has another size than when it was made: its memory was "
        "overwritten; make a new semaphore, and look for a process that writes where it should "
        "not");
}

std::int64_t Semaphore::value() const {
    return core::semaphore_value(cell(), *domain_);
}

std::string Semaphore::to_string() const {
    return fmt::format("<Semaphore value={}>", value());
}

arena::Crossing Semaphore::crossing() const {
    return {object_, {capacity_, 0}};
}

Semaphore Semaphore::arrive(const arena::Crossing& crossing) {
    Semaphore arrived(crossing.object);
    if (arrived.capacity_ != crossing.words[0])
        throw_corrupt();
    return arrived;
}

} // namespace multifork
