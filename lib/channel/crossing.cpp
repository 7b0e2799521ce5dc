#include <multifork/channel/crossing.hpp>

#include "platform/code_address.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>

namespace multifork::detail {

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
    const void* const function = platform::code_at(address);
    if (function == nullptr)
        throw LayoutMismatch(fmt::format(
            "a function that a process of this tree sent is not in {}: this is another program, or "
            "another build of it; run the same everywhere",
            address.module.empty() ? "this program" : address.module));
    return reinterpret_cast<AnyFunction>(const_cast<void*>(function));
}

} // namespace multifork::detail
