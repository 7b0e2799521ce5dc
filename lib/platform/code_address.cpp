#include "platform/code_address.hpp"

#include <boost/container_hash/hash.hpp>
#include <link.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace multifork::platform {
namespace {

constexpr std::size_t compared_bytes = 16; // of the function: they hold no absolute address

struct Module {
    std::string path;
    std::uintptr_t base = 0;
    std::uint64_t fingerprint = 0; // of its program headers and notes, the build id among them
    std::uintptr_t code_begin = 0; // of the executable segment that was asked for
    std::uintptr_t code_end = 0;
};

std::uint64_t fingerprint_of(const dl_phdr_info& info) {
    std::size_t hash = info.dlpi_phnum;
    for (std::size_t i = 0; i < info.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info.dlpi_phdr[i];
        boost::hash_combine(hash, header.p_type);
        boost::hash_combine(hash, header.p_vaddr);
        boost::hash_combine(hash, header.p_memsz);
        if (header.p_type != PT_NOTE)
            continue;
        const auto* const note = reinterpret_cast<const char*>(info.dlpi_addr + header.p_vaddr);
        boost::hash_range(hash, note, note + header.p_memsz);
    }
    return hash;
}

/// Looks at each module until `wanted(info, header)` says yes of one of its executable segments.
template <class Wanted>
bool find_module(Wanted wanted, Module& found) {
    struct Search {
        Wanted& wanted;
        Module& found;
        bool first = true; // the program itself comes first, and has no name
    } search{wanted, found};
    return ::dl_iterate_phdr(
               [](dl_phdr_info* info, std::size_t, void* data) {
                   auto& s = *static_cast<Search*>(data);
                   const std::string path = s.first ? "" : info->dlpi_name;
                   s.first = false;
                   for (std::size_t i = 0; i < info->dlpi_phnum; ++i) {
                       const ElfW(Phdr)& header = info->dlpi_phdr[i];
                       if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0)
                           continue;
                       const std::uintptr_t begin = info->dlpi_addr + header.p_vaddr;
                       if (!s.wanted(path, info->dlpi_addr, begin, begin + header.p_memsz))
                           continue;
                       s.found = {path, info->dlpi_addr, fingerprint_of(*info), begin,
                                  begin + header.p_memsz};
                       return 1;
                   }
                   return 0;
               },
               &search) != 0;
}

std::uint64_t fingerprint_at(const Module& module, std::uintptr_t function) {
    std::size_t hash = module.fingerprint;
    const auto* const code = reinterpret_cast<const char*>(function);
    const std::size_t length =
        module.code_end - function < compared_bytes ? module.code_end - function : compared_bytes;
    boost::hash_range(hash, code, code + length);
    return hash;
}

/// The functions of the program itself that the thread has looked up last. Going through the
/// modules takes longer than all the rest of sending a small task; the program stays where it is as
/// long as the process lives, a child's copy of it too. A library may be unloaded, and another one
/// come to lie there: it is looked up each time.
struct Known {
    std::uintptr_t function = 0;
    std::uint64_t offset = 0;
    std::uint64_t fingerprint = 0;
};
constinit thread_local std::array<Known, 16> known_by_function{};
constinit thread_local std::array<Known, 16> known_by_offset{};

Known& place_of(std::array<Known, 16>& known, std::uint64_t key) {
    return known[(key >> 4 ^ key >> 8) %
                 known.size()]; // functions mostly begin at a multiple of 16
}

} // namespace

CodeAddress code_address_of(const void* function) {
    const auto at = reinterpret_cast<std::uintptr_t>(function);
    Known& known = place_of(known_by_function, at);
    if (known.function == at && at != 0)
        return {"", known.offset, known.fingerprint};
    Module module;
    if (!find_module([&](const std::string&, std::uintptr_t, std::uintptr_t begin,
                         std::uintptr_t end) { return at >= begin && at < end; },
                     module))
        return {};
    CodeAddress address{module.path, at - module.base, fingerprint_at(module, at)};
    if (address.module.empty())
        known = {at, address.offset, address.fingerprint};
    return address;
}

const void* code_at(const CodeAddress& address) {
    Known& known = place_of(known_by_offset, address.offset);
    if (address.module.empty() && known.function != 0 && known.offset == address.offset &&
        known.fingerprint == address.fingerprint)
        return reinterpret_cast<const void*>(known.function);
    Module module;
    if (!find_module(
            [&](const std::string& path, std::uintptr_t base, std::uintptr_t begin,
                std::uintptr_t end) {
                return path == address.module && address.offset >= begin - base &&
                       address.offset < end - base;
            },
            module))
        return nullptr;
    const std::uintptr_t function = module.base + address.offset;
    if (fingerprint_at(module, function) != address.fingerprint)
        return nullptr;
    if (address.module.empty())
        known = {function, address.offset, address.fingerprint};
    return reinterpret_cast<const void*>(function);
}

} // namespace multifork::platform
