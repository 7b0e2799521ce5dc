#include <multifork/multifork.hpp>

#include "conformance/start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdint>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

class FooBar {
public:
    std::string f() { return "f()"; }
    void g() { throw std::invalid_argument("g() is wrong"); }
    std::string hidden() { return "_h()"; }
};

/// What a generator is in Python.
struct Squares {
    auto all() const {
        return std::views::iota(0, 10) | std::views::transform([](int i) { return i * i; });
    }
};

mp::Manager my_manager() {
    mp::Manager manager;
    manager.register_type<FooBar>("Foo").method("f", &FooBar::f).method("g", &FooBar::g);
    manager.register_type<FooBar>("Bar").method("f", &FooBar::f).method("_h", &FooBar::hidden);
    manager.register_type<Squares>("baz").method("all", &Squares::all);
    return manager;
}

void use(mp::Manager& manager) {
    const mp::Proxy foo = manager.create("Foo");
    const mp::Proxy bar = manager.create("Bar");
    const mp::Proxy baz = manager.create("baz");
    BOOST_TEST(foo.call<std::string>("f") == "f()");
    BOOST_CHECK_THROW(foo.call("g"), std::invalid_argument);
    BOOST_CHECK_THROW(foo.call<std::string>("_h"), mp::RemoteError);
    BOOST_TEST(bar.call<std::string>("f") == "f()");
    BOOST_TEST(bar.call<std::string>("_h") == "_h()");
    BOOST_CHECK_THROW(bar.call("g"), mp::RemoteError);
    BOOST_TEST((baz.call<std::vector<int>>("all") ==
                std::vector<int>{0, 1, 4, 9, 16, 25, 36, 49, 64, 81}));
}

[[nodiscard]] bool orderly(int code) {
    return code == 0 || code == -SIGTERM;
}

using Item = std::variant<std::monostate, bool, double, std::string, std::vector<char>>;

std::vector<Item> items() {
    return {std::string("hello world"),
            std::monostate{},
            true,
            2.25,
            std::string("hall\u00e5 v\u00e4rlden"),
            std::string("\u043f\u0440\u0438\u0432\u0456\u0442 \u0441\u0432\u0456\u0442"),
            std::vector<char>{'h', '\0', 'i', '\xff'}};
}

/// Cannot be serialised, and says so.
class Stubborn {
public:
    Stubborn() = default;
    explicit Stubborn(int n) : number(n) {}
    template <class Archive>
    void save(Archive& archive) const {
        if (number == 13)
            throw std::runtime_error("not thirteen");
        archive(number);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(number);
    }

private:
    int number = 0;
    std::string text; // so that its bytes are not it
};

} // namespace

BOOST_AUTO_TEST_SUITE(manager)

// Types and members are registered when the program is compiled, each member by name: there is no
// default. A range arrives as a vector. The server is always forked; callers may be started as they
// like.
MULTIFORK_EACH_START_METHOD(M_009_objects_of_registered_types) {
    auto manager = my_manager();
    manager.start();
    use(manager);
    const mp::Proxy foo = manager.create("Foo"); // crosses into any child
    support::run_in_child(
        context,
        [](const mp::Proxy& shared) { support::demand(shared.call<std::string>("f") == "f()"); },
        foo);
    manager.shutdown();
    BOOST_TEST(orderly(manager.exitcode().value()));
}

BOOST_AUTO_TEST_CASE(M_010_leaving_the_scope_stops_the_server) {
    std::optional<mp::ProcessHandle> server;
    {
        auto manager = my_manager();
        manager.start();
        for (const auto& child : mp::active_children())
            if (child.pid() == manager.pid())
                server = child;
        use(manager);
    }
    BOOST_TEST(orderly(server.value().exitcode().value()));
}

// A queue in the server, shared by strangers who know address and key alone. A type that the codec
// does not know is refused when it is compiled; one that throws does so in the caller.
MULTIFORK_EACH_START_METHOD(M_012_a_queue_for_strangers) {
    const std::string key(32, 'k');
    mp::Manager manager{{.address = {"127.0.0.1", 0}, .authkey = key}};
    const mp::Queue<Item> queue{16};
    manager.register_type<mp::Queue<Item>>("queue", [queue] { return queue; })
        .method("put", [](mp::Queue<Item>& q, const Item& item) { q.put(item); })
        .method("get", [](mp::Queue<Item>& q) { return q.get(); })
        .concurrent();
    manager.register_type<std::vector<Stubborn>>("stubborn")
        .method("add", [](std::vector<Stubborn>& v, const Stubborn& s) { v.push_back(s); });
    manager.start();
    const std::uint32_t port = manager.address().port();
    mp::Process putter = context.process(
        [](std::uint32_t at, const std::string& secret) {
            auto there = mp::Manager::connect({"127.0.0.1", at}, secret);
            const auto shared = there.create("queue");
            for (const Item& item : items())
                shared.call("put", item);
        },
        port, key);
    putter.start();
    mp::Process getter = context.process(
        [](std::uint32_t at, const std::string& secret) {
            auto there = mp::Manager::connect({"127.0.0.1", at}, secret);
            const auto shared = there.create("queue");
            for (const Item& item : items())
                support::demand(shared.call<Item>("get") == item);
        },
        port, key);
    getter.start();
    support::expect_exit(putter);
    support::expect_exit(getter);
    const auto stubborn = manager.create("stubborn");
    stubborn.call("add", Stubborn{1});
    BOOST_CHECK_THROW(stubborn.call("add", Stubborn{13}), std::runtime_error);
    stubborn.call("add", Stubborn{2});
}

BOOST_AUTO_TEST_SUITE_END()
