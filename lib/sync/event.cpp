#include <multifork/sync/event.hpp>

#include <utility>

namespace multifork {

Event::Event(arena::Object object)
    : cell_(reinterpret_cast<core::EventCell*>(object.data())), domain_(&object.space().domain()),
      object_(std::move(object)) {}

Event::Event()
    : Event(arena::Object::make(sizeof(core::EventCell), arena::Kind::event, [](std::byte*) {})) {}

Event Event::named(std::string_view name, arena::OpenMode mode) {
    arena::Identity identity;
    identity.kind = arena::Kind::event;
    identity.type_name = "event";
    identity.root_bytes = sizeof(core::EventCell);
    identity.what = "Event";
    return Event(arena::named_object(name, mode, identity, [](std::byte*) {}));
}

Event Event::create(std::string_view name) {
    return named(name, arena::OpenMode::create);
}
Event Event::open(std::string_view name) {
    return named(name, arena::OpenMode::open);
}
Event Event::open_or_create(std::string_view name) {
    return named(name, arena::OpenMode::open_or_create);
}
bool Event::remove(std::string_view name) {
    return arena::remove_named(name);
}

std::string Event::to_string() const {
    return is_set() ? "<Event set>" : "<Event unset>";
}

arena::Crossing Event::crossing() const {
    return {object_};
}

Event Event::arrive(const arena::Crossing& crossing) {
    return Event(crossing.object);
}

} // namespace multifork
