#include <multifork/process/target.hpp>

#include <multifork/error.hpp>

#include <boost/core/demangle.hpp>
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace multifork::detail {
namespace {

/// Whether something of this process is mapped there.
bool is_mapped(std::uint64_t address) {
    // A number below 4 GiB is a number, even if a program that is not position independent has
    // something there.
    if (address < 1ull << 32 || address >= 1ull << 57)
        return false;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> maps(std::fopen("/proc/self/maps", "re"),
                                                               std::fclose);
    std::array<char, 512> line;
    while (maps != nullptr && std::fgets(line.data(), line.size(), maps.get()) != nullptr) {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        // Two small numbers side by side would often look like an address in the arena, or in
        // another reservation of that size.
        constexpr std::uint64_t reservation = 1ull << 32;
        if (std::sscanf(line.data(), "%lx-%lx", &begin, &end) == 2 && address >= begin &&
            address < end && end - begin < reservation)
            return true;
    }
    return false;
}

} // namespace

void refuse_addresses(std::span<const std::byte> bytes, const std::type_info& type) {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size();
         at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof word);
        if (is_mapped(word))
            throw NotShareable(fmt::format(
                "'{}' has captured a reference or a pointer, which means nothing in a process that "
                "is not forked; capture by value, or give it as an argument of the Process (a "
                "Queue, Lock, Value... means the same object there)",
                boost::core::demangle(type.name())));
    }
}

void throw_cannot_cross(const std::type_info& type) {
    throw NotShareable(fmt::format(
        "'{}' cannot cross into a process that is not forked: neither are its bytes all there is "
        "to it, nor does the codec know it; give what a closure captures as arguments of the "
        "Process, or use start method fork",
        boost::core::demangle(type.name())));
}

std::unique_ptr<Callable> read_callable(ByteReader& reader) {
    return reinterpret_cast<Revive>(read_function(reader))(reader);
}

} // namespace multifork::detail
