#pragma once

#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace demo {

/// What a client asked for.
struct WebRequest {
    std::string method;                         ///< "GET" or "POST"
    std::string path;                           ///< as sent, with what follows a '?'
    std::map<std::string, std::string> headers; ///< names in small letters
    std::string body;
};

/// A web server of one's own, in a process of its own, for demos that fetch pages: on the loopback
/// device, so that no network is needed, and as slow as one likes, so that there is something to
/// wait for.
///
/// \code
///   WebServer server([](const WebRequest& request) { return "You want " + request.path; }, 100ms);
///   WebSession session;
///   session.get(server.url("/first"));
/// \endcode
///
/// It serves any number of connections at once, all in one thread (coroutines), and keeps them open
/// as HTTP/1.1 does. It ends with the object, or with the process that made it.
class WebServer {
public:
    /// \return the page (text in UTF-8), or nothing: 404. What it throws becomes a 500.
    using Answer = std::function<std::optional<std::string>(const WebRequest&)>;

    /// \param delay  from the end of each request to its answer
    /// \throws multifork::Error when there is no socket or no process to be had
    WebServer(Answer answer, std::chrono::milliseconds delay);

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// "http://127.0.0.1:PORT" and the path, which begins with '/'.
    [[nodiscard]] std::string url(std::string_view path = "/") const;

    /// Requests answered so far.
    [[nodiscard]] std::int64_t answered() const { return answered_.load(); }
    /// The most requests that waited for their answers at the same moment so far.
    [[nodiscard]] std::int64_t most_at_once() const { return most_at_once_.load(); }
    /// Forgets what it has counted; not while requests are under way.
    void count_anew();

private:
    void serve(int listener, std::chrono::milliseconds delay);

    Answer answer_;
    multifork::Value<std::int64_t> answered_{0};
    multifork::Value<std::int64_t> most_at_once_{0};
    std::uint16_t port_ = 0;
    multifork::Process process_;
};

} // namespace demo
