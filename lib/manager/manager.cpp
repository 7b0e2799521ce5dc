#include <multifork/manager/manager.hpp>

#include "manager/server.hpp"

#include <multifork/channel/pipe.hpp>
#include <multifork/channel/waitable.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

namespace multifork {

using namespace std::chrono_literals;

struct Manager::State {
    ManagerOptions options;
    detail::ServedTypes types;
    detail::Rethrowers rethrowers;
    std::shared_ptr<detail::ManagerClient> client; // once it is started
    std::optional<Process> server;
    pid_t owner = ::getpid();
    bool ended = false;
};

namespace {

using Reports = Connection<std::pair<std::string, std::uint16_t>>;

/// In the server's process.
void be_the_server(const ManagerOptions& options, const detail::ServedTypes& types,
                   Reports& report) {
    // Ctrl-C goes to the whole group; this process ends when its manager says so.
    std::signal(SIGINT, SIG_IGN);
    Listener listener(options.address, {.any_user = options.any_user, .backlog = 128});
    const Address at = listener.address();
    auto& server = *new detail::Server(std::move(listener), *options.authkey, types);
    report.send({at.name(), at.port()});
    report.close();
    server.serve();
}

} // namespace

Manager::Manager(ManagerOptions options) : state_(std::make_unique<State>()) {
    state_->options = std::move(options);
    if (!state_->options.authkey)
        state_->options.authkey = this_process::authkey();
    else if (state_->options.authkey->empty())
        throw InvalidArgument("an empty key protects nothing; give a good one, or none for "
                              "this process's");
}

Manager::~Manager() {
    if (!state_ || !state_->server || state_->owner != ::getpid())
        return;
    try {
        shutdown();
    } catch (...) {
        // The Process kills it.
    }
}

Manager::Manager(Manager&&) noexcept = default;
Manager& Manager::operator=(Manager&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Manager::State& Manager::state() const {
    if (!state_)
        throw InvalidArgument("this Manager was moved from; use the one it was moved to");
    return *state_;
}

const std::shared_ptr<detail::ManagerClient>& Manager::client() const {
    if (!state().client)
        throw Error(std::errc::not_connected,
                    "this Manager has no server yet; call start() first, or connect()");
    return state().client;
}

Manager Manager::connect(const Address& address, std::string authkey, bool any_user) {
    Manager manager({.address = address, .authkey = std::move(authkey), .any_user = any_user});
    State& state = manager.state();
    state.client =
        std::make_shared<detail::ManagerClient>(address, *state.options.authkey, any_user);
    static_cast<void>(state.client->count()); // whether somebody is there who knows the key
    return manager;
}

detail::ServedType& Manager::add_type(std::string name) {
    if (state().client)
        throw Error(std::errc::operation_not_permitted,
                    fmt::format("'{}' is registered after start(); the server was made without it, "
                                "so register before",
                                name));
    const auto [place, added] = state().types.try_emplace(std::move(name));
    if (!added)
        throw InvalidArgument(
            fmt::format("the type '{}' is registered twice; take another name", place->first));
    return place->second;
}

void Manager::add_exception(const char* type, void (*rethrow)(const std::string&)) {
    state().rethrowers.insert_or_assign(type, rethrow);
    if (!state().client)
        return;
    // Proxies share the client, and may be calling: those that exist keep theirs.
    auto client = std::make_shared<detail::ManagerClient>(*state().client);
    client->rethrowers = state().rethrowers;
    state().client = std::move(client);
}

void Manager::start() {
    State& mine = state();
    if (mine.client)
        throw Error(std::errc::operation_not_permitted,
                    "this Manager was started already, or belongs to a server elsewhere");
    auto [heard, report] = Pipe<std::pair<std::string, std::uint16_t>>(false);
    // By fork: it has then what was registered.
    Process server{{.daemon = true, .start_method = StartMethod::fork},
                   [&mine, &heard = heard, &report = report] {
                       heard.close();
                       be_the_server(mine.options, mine.types, report);
                   }};
    std::string name = server.name(); // "Process-3"
    server.set_name("Manager" + name.substr(std::min(name.find('-'), name.size())));
    server.start();
    report.close();
    // Not only for the end of the stream: another child may hold an end of it.
    static_cast<void>(wait({heard, server}));
    const auto address = heard.try_recv();
    if (!address) {
        server.kill();
        server.join();
        const auto error = server.error();
        throw Error(std::errc::connection_refused,
                    fmt::format("the server of the Manager did not start: {}",
                                error ? error->text()
                                      : fmt::format("it ended with {}", *server.exitcode())));
    }
    mine.owner = ::getpid();
    mine.client = std::make_shared<detail::ManagerClient>(
        address->second != 0 ? Address(address->first, address->second) : Address(address->first),
        *mine.options.authkey, mine.options.any_user);
    mine.client->rethrowers = mine.rethrowers;
    mine.server = std::move(server);
}

Proxy Manager::create_with(std::string_view type, const std::string& signature,
                           const detail::Bytes& arguments) {
    return {client(), client()->create(type, signature, arguments), std::string(type)};
}

std::uint64_t Manager::objects() const {
    return client()->count();
}

void Manager::shutdown() {
    State& mine = state();
    if (!mine.server || mine.owner != ::getpid())
        throw Error(std::errc::operation_not_permitted,
                    "shutdown() of a server that another process started; only that one may");
    if (std::exchange(mine.ended, true))
        return;
    const bool agreed = mine.server->is_alive() && mine.client->shut_down();
    if (agreed && mine.server->try_join_for(5s))
        return;
    mine.server->terminate();
    if (!mine.server->try_join_for(5s)) {
        mine.server->kill();
        mine.server->join();
    }
}

const Address& Manager::address() const {
    return client()->address;
}
const std::string& Manager::authkey() const {
    return *state().options.authkey;
}
std::optional<int> Manager::pid() const {
    return state().server ? state().server->pid() : std::nullopt;
}
std::optional<int> Manager::exitcode() const {
    return state().server ? state().server->exitcode() : std::nullopt;
}

std::string Manager::to_string() const {
    if (!state_ || !state_->client)
        return "<Manager, initial>";
    return fmt::format("<Manager at {}, {}>", state_->client->address.to_string(),
                       !state_->server ? "connected"
                       : state_->ended ? "stopped"
                                       : "started");
}

} // namespace multifork
