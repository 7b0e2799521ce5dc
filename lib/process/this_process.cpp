#include "arena/space_impl.hpp"
#include "process/self.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

namespace multifork {
namespace this_process {

int pid() noexcept {
    return ::getpid();
}
int ppid() noexcept {
    return ::getppid();
}

std::string name() {
    const std::scoped_lock hold(detail::self().mutex);
    return detail::self().shown_name();
}

void set_name(std::string name) {
    arena::set_process_name(name);
    const std::scoped_lock hold(detail::self().mutex);
    detail::self().name = std::move(name);
}

bool daemon() noexcept {
    return detail::self().daemon;
}

std::optional<ParentProcess> parent() {
    const std::scoped_lock hold(detail::self().mutex);
    return detail::self().parent;
}

std::string authkey() {
    return detail::own_authkey();
}

void set_authkey(std::string key) {
    if (key.empty())
        throw InvalidArgument("an empty authkey would let everybody in; give at least one byte");
    const std::scoped_lock hold(detail::self().mutex);
    detail::self().authkey = std::move(key);
}

std::string to_string() {
    const auto made_by = parent();
    if (!made_by)
        return fmt::format("<MainProcess name='{}' pid={} started>", name(), pid());
    return fmt::format("<Process name='{}' pid={} parent={} started{}>", name(), pid(),
                       made_by->pid, daemon() ? " daemon" : "");
}

} // namespace this_process
} // namespace multifork
