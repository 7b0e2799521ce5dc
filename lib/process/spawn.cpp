#include "process/spawn.hpp"

#include "arena/space_impl.hpp"
#include "platform/launch.hpp"
#include "process/lifeline.hpp"
#include "process/program_start.hpp"
#include "process/start_method.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace multifork::detail {

Spawned spawn(Order order, const arena::Object& board, const Callable& target,
              std::span<const int> more) {
    if (!takes_over_before_main())
        throw ProcessError(std::errc::not_supported,
                           "this program cannot spawn itself: its start passed the library by, as "
                           "in a program that is linked statically to the C library; use start "
                           "method fork");
    if (arena::has_borrowed_rights())
        throw ProcessError(std::errc::operation_not_permitted,
                           "this program runs with other rights than who started it (set-user-ID, "
                           "or capabilities of its file), and so takes no orders when it is "
                           "spawned; use start method fork");
    const std::string program = executable();
    const std::string name = order.name;
    prepare_lifeline();
    Spawned spawned;
    spawned.record = arena::begin_child(name, false);
    try {
        WrittenOrder written = write_order(std::move(order), board, target, spawned.record);
        // See handed_over_descriptor, lifeline_place, passed_place.
        std::vector<int> descriptors{arena::arena_descriptor(), lifeline_descriptor()};
        descriptors.insert(descriptors.end(), more.begin(), more.end());
        for (const platform::Descriptor& passed : written.passed)
            descriptors.push_back(passed.get());
        const auto launched = platform::launch(program, {program_name(), "--multifork-child", name},
                                               arena::handover_variable(written.told), descriptors);
        if (launched.error != 0)
            throw ProcessError(static_cast<std::errc>(launched.error),
                               fmt::format("'{}' cannot be run for {}: {}", program, name,
                                           std::generic_category().message(launched.error)));
        spawned.pid = launched.pid;
        spawned.kept = std::move(written.kept);
        // The child writes the same; but it may be killed before it does.
        arena::born_as(spawned.record, static_cast<std::uint32_t>(launched.pid));
    } catch (...) {
        arena::end_child(spawned.record);
        throw;
    }
    return spawned;
}

} // namespace multifork::detail
