#pragma once

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace demo {

/// A page could not be had: nobody listens, no answer in time, an answer other than 200. what() has
/// the URL and the reason.
class WebError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

using WebHeaders = std::map<std::string, std::string>;

/// What `requests.Session()` is in Python: gets and posts pages, and keeps connections open for the
/// next ones.
///
/// \threads   safe: each call has a connection to itself
/// \processes use it where it was made: two processes would talk on one connection. A forked child
/// opens connections of its own.
class WebSession {
public:
    /// \param patience  for each answer
    explicit WebSession(std::chrono::milliseconds patience = std::chrono::seconds(30));
    ~WebSession();
    WebSession(const WebSession&) = delete;
    WebSession& operator=(const WebSession&) = delete;

    /// \param url  http:// an address in numbers : a port / a path \return the body
    /// \throws WebError
    [[nodiscard]] std::string get(std::string_view url, const WebHeaders& headers = {});
    /// The same with POST.
    [[nodiscard]] std::string post(std::string_view url, std::string_view body,
                                   const WebHeaders& headers = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The same as WebSession::get() with a connection for this page alone, in a coroutine: nobody
/// waits in a thread. \throws WebError
[[nodiscard]] boost::asio::awaitable<std::string>
async_get(std::string url, std::chrono::milliseconds patience = std::chrono::seconds(30));

} // namespace demo
