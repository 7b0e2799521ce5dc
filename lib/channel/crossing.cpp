#include <multifork/channel/crossing.hpp>

#include "platform/code_address.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>

namespace multifork::detail {
namespace {

AnyFunction function_at(const platform::CodeAddress& address) {
    const void* const function = platform::code_at(address);
    if (function == nullptr)
        throw LayoutMismatch(fmt::format(
            "a function that a process of this tree sent is not in {}: this is another program, or "
            "another build of it; run the same everywhere",
            address.module.empty() ? "this program" : address.module));
    return reinterpret_cast<AnyFunction>(const_cast<void*>(function));
}

} // namespace

void write_function(ByteWriter& writer, AnyFunction function) {
    const auto address = platform::code_address_of(reinterpret_cast<const void*>(function));
    if (address.offset == 0)
        throw NotShareable("a function that lies in no loaded program or library cannot cross into "
                           "another process; give one that was compiled");
    writer(address.module, address.offset, address.fingerprint);
}

AnyFunction read_function(ByteReader& reader) {
    platform::CodeAddress address;
    reader(address.module, address.offset, address.fingerprint);
    return function_at(address);
}

std::optional<ProgramFunction> find_in_program(AnyFunction function) {
    const auto address = platform::code_address_of(reinterpret_cast<const void*>(function));
    if (!address.module.empty() || address.offset == 0)
        return std::nullopt;
    return ProgramFunction{address.offset, address.fingerprint};
}

AnyFunction function_of_program(const ProgramFunction& place) {
    return function_at({"", place.offset, place.fingerprint});
}

} // namespace multifork::detail
