#include <multifork/version.hpp>

namespace multifork {

#define MULTIFORK_TEXT_OF(token) #token
#define MULTIFORK_TEXT(token) MULTIFORK_TEXT_OF(token)

std::string_view version() noexcept {
    return MULTIFORK_TEXT(MULTIFORK_VERSION_MAJOR) "." MULTIFORK_TEXT(
        MULTIFORK_VERSION_MINOR) "." MULTIFORK_TEXT(MULTIFORK_VERSION_PATCH);
}

} // namespace multifork
