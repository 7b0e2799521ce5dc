#include <multifork/error.hpp>
#include <multifork/sync/condition.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace multifork {

Condition::Condition(arena::Object object)
    : cell_(reinterpret_cast<core::ConditionCell*>(object.data())),
      domain_(&object.space().domain()), object_(std::move(object)) {}

Condition::Condition()
    : Condition(arena::Object::make(sizeof(core::ConditionCell), arena::Kind::condition,
                                    [](std::byte*) {})) {}

Condition Condition::named(std::string_view name, arena::OpenMode mode) {
    arena::Identity identity;
    identity.kind = arena::Kind::condition;
    identity.type_name = "condition";
    identity.root_bytes = sizeof(core::ConditionCell);
    identity.what = "Condition";
    return Condition(arena::named_object(name, mode, identity, [](std::byte*) {}));
}

Condition Condition::create(std::string_view name) {
    return named(name, arena::OpenMode::create);
}
Condition Condition::open(std::string_view name) {
    return named(name, arena::OpenMode::open);
}
Condition Condition::open_or_create(std::string_view name) {
    return named(name, arena::OpenMode::open_or_create);
}
bool Condition::remove(std::string_view name) {
    return arena::remove_named(name);
}

std::uint32_t Condition::enter() const {
    const auto place = core::condition_enter(*cell_, *domain_);
    if (!place)
        throw TooManyThreads(fmt::format("{} threads wait for this condition already, and it has "
                                         "room for no more; use several conditions",
                                         core::max_condition_waiters));
    return *place;
}

void Condition::notify(std::size_t count) const {
    core::condition_notify(
        *cell_, *domain_,
        static_cast<std::uint32_t>(std::min<std::size_t>(count, core::max_condition_waiters)));
}

std::size_t Condition::waiters() const noexcept {
    return core::condition_waiters(*cell_, *domain_);
}

std::string Condition::to_string() const {
    return fmt::format("<Condition waiters={}>", waiters());
}

arena::Crossing Condition::crossing() const {
    return {object_};
}

Condition Condition::arrive(const arena::Crossing& crossing) {
    return Condition(crossing.object);
}

} // namespace multifork
