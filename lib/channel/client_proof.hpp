#pragma once

#include <multifork/channel/authentication.hpp>

namespace multifork::detail {

/// A client's part of the proof in both directions: answers the listener's challenge, then delivers
/// its own.
///
/// The messages do not say which side speaks, since Python's do not. So a false listener to which a
/// process connects twice could have the one connection answer the other's challenge. A client
/// refuses to answer a challenge that a client of its process has out.
/// \throws as answer_challenge() and deliver_challenge()
void prove_as_client(AnyConnection& connection, std::string_view key,
                     std::chrono::nanoseconds timeout);

} // namespace multifork::detail
