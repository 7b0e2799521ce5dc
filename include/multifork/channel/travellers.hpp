#pragma once

#include <multifork/platform/export.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace multifork::detail {

/// Connections that travel in the messages that this thread is encoding: their ends are given up
/// again unless the messages are sent. Nested use (a serialize() that sends) has its own.
class MULTIFORK_API Travellers {
public:
    Travellers() noexcept;
    ~Travellers();
    Travellers(const Travellers&) = delete;
    Travellers& operator=(const Travellers&) = delete;

    /// A connection that departs now; nobody gives its end up where nothing encodes a message.
    static void note(const std::string& reference);
    /// Gives the ends up.
    static void cancel(const std::vector<std::string>& references) noexcept;

    /// How many have departed so far.
    [[nodiscard]] std::size_t count() const noexcept { return references_.size(); }
    /// The messages of the first so many were sent.
    void arrived(std::size_t first) noexcept { arrived_ = first; }
    void arrived() noexcept { arrived(count()); }
    /// From here on they are the caller's to cancel.
    [[nodiscard]] std::vector<std::string> take() noexcept;

private:
    std::vector<std::string> references_;
    std::size_t arrived_ = 0; // the first so many
    Travellers* outer_;
};

} // namespace multifork::detail
