#include "arena/named.hpp"

#include <multifork/channel/shared_memory.hpp>
#include <multifork/error.hpp>

#include <fmt/format.h>

#include <atomic>
#include <optional>
#include <random>
#include <utility>

namespace multifork {

struct SharedMemory::State {
    std::string name;
    std::optional<arena::Object> object; // empty: closed
    memory::FileId file;                 // which one the name meant then
    std::atomic<bool> unlinked{false};
};

namespace {
const std::string no_name;
void leave_zero(std::byte*) {}
} // namespace

SharedMemory SharedMemory::named(std::string_view name, arena::OpenMode mode, std::size_t size,
                                 arena::Kind kind, const Init& init) {
    constexpr std::size_t most = std::size_t{1} << 47;
    if (mode != arena::OpenMode::open && (size == 0 || size > most))
        throw InvalidArgument(fmt::format("shared memory of {} bytes was asked for; a size of 1 or "
                                          "more, as much as the machine has, will do",
                                          static_cast<std::int64_t>(size)));
    arena::Identity identity;
    identity.kind = kind;
    identity.type_name = "bytes";
    identity.root_bytes = size;
    identity.any_size = true;
    identity.least_bytes = mode == arena::OpenMode::open ? size : 0;
    identity.what = kind == arena::Kind::shared_memory ? "SharedMemory" : "ShareableList";
    SharedMemory made;
    made.state_ = std::make_shared<State>();
    made.state_->name = name;
    made.state_->object = arena::named_object(name, mode, identity, init);
    made.state_->file = arena::file_of(*made.state_->object);
    return made;
}

SharedMemory SharedMemory::create_with(const std::function<std::string()>& next_name,
                                       std::size_t size, arena::Kind kind, const Init& init) {
    for (;;) {
        try {
            return named(next_name(), arena::OpenMode::create, size, kind, init);
        } catch (const AlreadyExists&) {
            // Try the next one.
        }
    }
}

std::string SharedMemory::random_name() {
    std::random_device random;
    return fmt::format("psm_{:08x}", random() & 0xffff'ffffu);
}

SharedMemory SharedMemory::create(std::size_t size) {
    return create_with(random_name, size, arena::Kind::shared_memory, leave_zero);
}
SharedMemory SharedMemory::create(std::string_view name, std::size_t size) {
    return named(name, arena::OpenMode::create, size, arena::Kind::shared_memory, leave_zero);
}
SharedMemory SharedMemory::open(std::string_view name) {
    return named(name, arena::OpenMode::open, 0, arena::Kind::shared_memory, leave_zero);
}
SharedMemory SharedMemory::open_or_create(std::string_view name, std::size_t size) {
    return named(name, arena::OpenMode::open_or_create, size, arena::Kind::shared_memory,
                 leave_zero);
}

const std::string& SharedMemory::name() const noexcept {
    return state_ ? state_->name : no_name;
}

bool SharedMemory::closed() const noexcept {
    return !state_ || !state_->object;
}

std::size_t SharedMemory::size() const noexcept {
    return closed() ? 0 : state_->object->bytes();
}

const arena::Object& SharedMemory::object() const {
    if (closed())
        throw InvalidArgument(
            fmt::format("the shared memory '{}' is closed in this process; open it again", name()));
    return *state_->object;
}

std::span<std::byte> SharedMemory::buf() const {
    return {object().data(), object().bytes()};
}

void SharedMemory::close() noexcept {
    if (state_)
        state_->object.reset();
}

void SharedMemory::unlink() {
    const auto refuse = [&] {
        throw NotFound(fmt::format("unlink() of the shared memory '{}', whose name somebody has "
                                   "taken away before",
                                   name()));
    };
    if (!state_ || state_->unlinked.exchange(true))
        refuse();
    try {
        // Not another one's, that has the name by now. Closed first, as Python programs do, it may
        // have gone with its last user.
        if (!arena::remove_named(state_->name, state_->file) && !closed())
            refuse();
    } catch (const NotFound&) {
        throw;
    } catch (...) {
        state_->unlinked = false;
        throw;
    }
}

std::string SharedMemory::to_string() const {
    if (closed())
        return fmt::format("<SharedMemory '{}' closed>", name());
    return fmt::format("<SharedMemory '{}' {}>", name(), size());
}

} // namespace multifork
