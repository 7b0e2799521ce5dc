#pragma once

#include <cxxabi.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace multifork::detail {

/// `int` for `i`; what is no such name stays as it is.
[[nodiscard]] inline std::string readable_type(const std::string& name) {
    int status = 0;
    char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    std::string result = text != nullptr ? text : name;
    std::free(text);
    return result;
}

/// `double (int, long)` for `d(i,l,)`, as signature_of() made it.
[[nodiscard]] inline std::string readable_signature(std::string_view signature) {
    const auto open = signature.find('(');
    std::string text = readable_type(std::string(signature.substr(0, open))) + " (";
    signature.remove_prefix(open == signature.npos ? signature.size() : open + 1);
    for (bool first = true;; first = false) {
        const auto end = signature.find(',');
        if (end == signature.npos)
            return text + ")";
        text += first ? "" : ", ";
        text += readable_type(std::string(signature.substr(0, end)));
        signature.remove_prefix(end + 1);
    }
}

} // namespace multifork::detail
