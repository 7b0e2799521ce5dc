#include "toolkit/web_server.hpp"

#include <multifork/error.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>

namespace demo {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::use_awaitable;
using asio::ip::tcp;
using Response = http::response<http::string_body>;

[[noreturn]] void fail(const char* what) {
    throw multifork::Error(std::error_code(errno, std::generic_category()), what);
}

/// A socket that listens at a free port of 127.0.0.1. Who connects before the server runs waits in
/// the kernel's queue, so nobody comes too early.
int listen_on_loopback() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        fail("cannot make a socket for the web server");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, SOMAXCONN) != 0) {
        ::close(listener);
        fail("the web server cannot listen at 127.0.0.1");
    }
    return listener;
}

std::uint16_t port_of(int listener) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        fail("cannot ask for the web server's port");
    return ::ntohs(address.sin_port);
}

WebRequest plain(const http::request<http::string_body>& from) {
    WebRequest request{
        std::string(from.method_string()), std::string(from.target()), {}, from.body()};
    for (const auto& field : from) {
        std::string name(field.name_string());
        std::transform(name.begin(), name.end(), name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        request.headers[name] = std::string(field.value());
    }
    return request;
}

Response respond(const WebServer::Answer& answer, const http::request<http::string_body>& request) {
    Response response(http::status::ok, request.version());
    response.set(http::field::content_type, "text/html; charset=utf-8");
    response.keep_alive(request.keep_alive());
    try {
        if (request.method() != http::verb::get && request.method() != http::verb::post) {
            response.result(http::status::method_not_allowed);
        } else if (std::optional<std::string> page = answer(plain(request))) {
            response.body() = std::move(*page);
        } else {
            response.result(http::status::not_found);
        }
    } catch (const std::exception& error) {
        response.result(http::status::internal_server_error);
        response.body() = error.what();
    }
    response.prepare_payload();
    return response;
}

} // namespace

WebServer::WebServer(Answer answer, std::chrono::milliseconds delay) : answer_(std::move(answer)) {
    const int listener = listen_on_loopback();
    try {
        port_ = port_of(listener);
        // By fork: it inherits the socket, and the function that answers.
        process_ = multifork::Process(
            {.name = "WebServer", .daemon = true, .start_method = multifork::StartMethod::fork},
            [this, listener, delay] { serve(listener, delay); });
        process_.start();
    } catch (...) {
        ::close(listener);
        throw;
    }
    ::close(listener); // else nobody would be refused after the server's end
}

std::string WebServer::url(std::string_view path) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

void WebServer::count_anew() {
    answered_.store(0);
    most_at_once_.store(0);
}

void WebServer::serve(int listener, std::chrono::milliseconds delay) {
    asio::io_context io(1);
    std::int64_t at_once = 0;

    const auto talk = [&](tcp::socket socket) -> asio::awaitable<void> {
        boost::beast::flat_buffer buffer;
        try {
            for (bool goes_on = true; goes_on;) {
                http::request<http::string_body> request;
                co_await http::async_read(socket, buffer, request, use_awaitable);
                most_at_once_.store(std::max(most_at_once_.load(), ++at_once));
                asio::steady_timer timer(socket.get_executor(), delay);
                co_await timer.async_wait(use_awaitable);
                Response response = respond(answer_, request);
                goes_on = response.keep_alive();
                --at_once;
                answered_.fetch_add(1);
                co_await http::async_write(socket, response, use_awaitable);
            }
        } catch (const boost::system::system_error&) {
            // It has hung up, or does not speak HTTP.
        }
    };
    const auto take_calls = [&](tcp::acceptor& door) -> asio::awaitable<void> {
        while (true) {
            tcp::socket socket = co_await door.async_accept(use_awaitable);
            socket.set_option(tcp::no_delay(true));
            asio::co_spawn(io, talk(std::move(socket)), asio::detached);
        }
    };
    tcp::acceptor door(io, tcp::v4(), listener);
    asio::co_spawn(io, take_calls(door), [](const std::exception_ptr& error) {
        if (error)
            std::rethrow_exception(error);
    });
    io.run();
}

} // namespace demo
