#pragma once

#include <multifork/channel/connection.hpp>
#include <multifork/platform/export.hpp>

#include <chrono>
#include <string_view>

namespace multifork {

/// \name Proof that the other side knows a key, without saying the key
///
/// One side sends a challenge (40 random bytes); the other answers with its HMAC-SHA256; the first
/// says whether that is right. The messages are those of Python 3.12 and later. Listener and Client
/// do it in both directions.
///
/// It keeps strangers out. It hides nothing, and does not protect what is sent afterwards against
/// somebody who sits in between: over networks that you do not trust, use a tunnel.
///
/// As in Python, an answer does not say which side gives it. So a false listener to which *two*
/// processes with the same key connect can have one answer the other's challenge, and pass for one
/// that knows the key. (Two clients of one process do not let that happen.)
///
/// \throws AuthenticationError  when the other side does not know the key, or speaks otherwise
/// \throws InvalidArgument      for an empty key
/// @{
MULTIFORK_API void deliver_challenge(AnyConnection& connection, std::string_view key,
                                     std::chrono::nanoseconds timeout = std::chrono::seconds(20));
MULTIFORK_API void answer_challenge(AnyConnection& connection, std::string_view key,
                                    std::chrono::nanoseconds timeout = std::chrono::seconds(20));
/// @}

} // namespace multifork
