#pragma once

#include <cstdint>
#include <string>

// Functions by a name that holds in every process of the same program: which file they came from
// and how far behind its load address they lie. Load addresses differ from process to process.

namespace multifork::platform {

struct CodeAddress {
    std::string module;            ///< path of a shared library; "" for the program itself
    std::uint64_t offset = 0;      ///< from where the module is loaded
    std::uint64_t fingerprint = 0; ///< of the module and the function's first bytes
};

/// \param function  any function of a loaded module
/// \return nothing found: an empty module and offset 0
[[nodiscard]] CodeAddress code_address_of(const void* function);

/// The function at that address in this process.
/// \return nullptr when the module is not loaded here, or is not the one that was meant
[[nodiscard]] const void* code_at(const CodeAddress& address);

} // namespace multifork::platform
