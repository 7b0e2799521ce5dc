#include "toolkit/web_client.hpp"

#include "toolkit/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace demo {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;
using asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;
using Patience = std::chrono::milliseconds;

/// http://127.0.0.1:8080/page?x=1
struct Url {
    explicit Url(std::string_view url) : text(url) {
        const std::string_view scheme = "http://";
        const auto wrong = [&](const char* why) {
            return WebError(fmt::format("{}: {}", printable(text, 200), why));
        };
        if (!url.starts_with(scheme))
            throw wrong("a URL here begins with http://");
        url.remove_prefix(scheme.size());
        const auto slash = std::min(url.find('/'), url.size());
        host = url.substr(0, slash);
        target = slash < url.size() ? url.substr(slash) : "/";
        const auto colon = std::min(host.find(':'), host.size());
        std::uint16_t port = 80;
        if (colon < host.size()) {
            const char* const end = host.data() + host.size();
            const auto [stopped, error] = std::from_chars(host.data() + colon + 1, end, port);
            if (error != std::errc{} || stopped != end)
                throw wrong("the port is not a number");
        }
        boost::system::error_code error;
        // No names: to look one up Asio needs a thread, and a thread needs care beside fork.
        const auto address = asio::ip::make_address(host.substr(0, colon), error);
        if (error)
            throw wrong("the host is not an address in numbers");
        place = tcp::endpoint(address, port);
    }
    std::string text;
    std::string host;
    std::string target;
    tcp::endpoint place;
};

WebError cannot_have(const Url& url, const boost::system::system_error& error, Patience patience) {
    if (error.code() == beast::error::timeout)
        return WebError(fmt::format("{}: no answer for {}", url.text,
                                    duration_text(std::chrono::nanoseconds(patience).count())));
    // What the end of a server looks like depends on how far the two had come.
    namespace ends = boost::system::errc;
    if (error.code() == http::error::end_of_stream ||
        error.code() == http::error::partial_message || error.code() == ends::connection_reset ||
        error.code() == ends::broken_pipe)
        return WebError(fmt::format("{}: the server hung up instead of answering", url.text));
    return WebError(fmt::format("{}: {}", url.text, error.code().message()));
}

std::string body_of(const Url& url, Response response) {
    if (response.result() != http::status::ok)
        throw WebError(fmt::format("{}: the server answered {} {}", url.text, response.result_int(),
                                   std::string(response.reason())));
    return std::move(response.body());
}

/// One question and its answer. \throws boost::system::system_error
asio::awaitable<Response> exchange(beast::tcp_stream& stream, const Url& url, Request& request,
                                   Patience patience) {
    stream.expires_after(patience);
    if (!stream.socket().is_open()) {
        co_await stream.async_connect(url.place, use_awaitable);
        stream.socket().set_option(tcp::no_delay(true));
    }
    co_await http::async_write(stream, request, use_awaitable);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(1ULL << 30);
    co_await http::async_read(stream, buffer, parser, use_awaitable);
    stream.expires_never();
    co_return parser.release();
}

Request make_request(http::verb verb, const Url& url, std::string_view body,
                     const WebHeaders& headers) {
    Request request(verb, url.target, 11);
    request.set(http::field::host, url.host);
    request.set(http::field::user_agent, "multifork-demo");
    for (const auto& [name, value] : headers)
        request.set(name, value);
    request.body() = std::string(body);
    request.prepare_payload();
    return request;
}

/// A connection, with the loop that its waits happen in.
struct Connection {
    tcp::endpoint place;
    asio::io_context io{1};
    beast::tcp_stream stream{io};

    Response ask(const Url& url, Request& request, Patience patience) {
        std::exception_ptr error;
        std::optional<Response> response;
        asio::co_spawn(io, exchange(stream, url, request, patience),
                       [&](std::exception_ptr why, Response got) {
                           error = std::move(why);
                           response = std::move(got);
                       });
        io.restart();
        io.run();
        if (error)
            std::rethrow_exception(error);
        return std::move(response.value());
    }
};

} // namespace

struct WebSession::State {
    Patience patience;
    pid_t owner = ::getpid();
    std::mutex mutex;
    std::vector<std::unique_ptr<Connection>> idle;

    std::unique_ptr<Connection> take_idle(const tcp::endpoint& place) {
        const std::scoped_lock hold(mutex);
        leave_parents();
        for (auto& connection : idle)
            if (connection->place == place) {
                std::swap(connection, idle.back());
                auto taken = std::move(idle.back());
                idle.pop_back();
                return taken;
            }
        return nullptr;
    }
    void give_back(std::unique_ptr<Connection> connection) {
        const std::scoped_lock hold(mutex);
        idle.push_back(std::move(connection));
    }
    /// A forked child has descriptors of its parent's connections. To close them in the usual way
    /// would disturb the parent, which shares the epoll behind them.
    void leave_parents() {
        if (std::exchange(owner, ::getpid()) == ::getpid())
            return;
        for (auto& connection : idle)
            [[maybe_unused]] auto* const left = connection.release();
        idle.clear();
    }

    std::string ask(http::verb verb, const Url& url, std::string_view body,
                    const WebHeaders& headers) {
        Request request = make_request(verb, url, body, headers);
        std::unique_ptr<Connection> connection = take_idle(url.place);
        if (connection) {
            try {
                return finish(std::move(connection), url, request);
            } catch (const boost::system::system_error& error) {
                if (error.code() == beast::error::timeout)
                    throw cannot_have(url, error, patience);
                // The server has closed it meanwhile: once more with a new one.
            }
        }
        try {
            connection = std::make_unique<Connection>();
            connection->place = url.place;
            return finish(std::move(connection), url, request);
        } catch (const boost::system::system_error& error) {
            throw cannot_have(url, error, patience);
        }
    }
    std::string finish(std::unique_ptr<Connection> connection, const Url& url, Request& request) {
        Response response = connection->ask(url, request, patience);
        if (response.keep_alive())
            give_back(std::move(connection));
        return body_of(url, std::move(response));
    }
};

WebSession::WebSession(std::chrono::milliseconds patience) : state_(std::make_unique<State>()) {
    state_->patience = patience;
}

WebSession::~WebSession() {
    state_->leave_parents();
}

std::string WebSession::get(std::string_view url, const WebHeaders& headers) {
    return state_->ask(http::verb::get, Url(url), {}, headers);
}

std::string WebSession::post(std::string_view url, std::string_view body,
                             const WebHeaders& headers) {
    return state_->ask(http::verb::post, Url(url), body, headers);
}

asio::awaitable<std::string> async_get(std::string text, std::chrono::milliseconds patience) {
    const Url url(text);
    Request request = make_request(http::verb::get, url, {}, {{"Connection", "close"}});
    const auto executor = co_await asio::this_coro::executor;
    beast::tcp_stream stream(executor);
    std::optional<WebError> error;
    Response response;
    try {
        response = co_await exchange(stream, url, request, patience);
    } catch (const boost::system::system_error& what) {
        error = cannot_have(url, what, patience);
    }
    if (error)
        throw *error;
    co_return body_of(url, std::move(response));
}

} // namespace demo
