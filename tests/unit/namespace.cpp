#include <multifork/channel/namespace.hpp>
#include <multifork/sync/barrier.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

struct Point {
    double x = 0;
    double y = 0;
    bool operator==(const Point&) const = default;
};

} // namespace

BOOST_AUTO_TEST_SUITE(name_space)

BOOST_AUTO_TEST_CASE(attributes_of_every_type_are_kept) {
    mp::Namespace shared;
    shared.set("nothing", std::monostate{});
    shared.set("truth", true);
    shared.set("number", -5);
    shared.set("large", std::numeric_limits<std::uint64_t>::max());
    shared.set("real", 2.5);
    shared.set("literal", "text");
    shared.set("text", std::string("with 'quotes'"));
    shared.set("bytes", std::vector{std::byte{1}, std::byte{0}});
    shared.set("point", Point{1, 2});
    shared.set("list", std::vector<std::string>{"a", "b"});
    shared.set("letter", 'x');
    BOOST_TEST((shared.get<std::monostate>("nothing") == std::monostate{}));
    BOOST_TEST(shared.get<bool>("truth"));
    BOOST_TEST(shared.get<int>("number") == -5);
    BOOST_TEST(shared.get<std::int8_t>("number") == -5);
    BOOST_TEST(shared.get<std::uint64_t>("large") == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST(shared.get<double>("real") == 2.5);
    BOOST_TEST(shared.get<float>("real") == 2.5f);
    BOOST_TEST(shared.get<std::string>("literal") == "text");
    BOOST_TEST(shared.get<std::string>("text") == "with 'quotes'");
    BOOST_TEST(
        (shared.get<std::vector<std::byte>>("bytes") == std::vector{std::byte{1}, std::byte{0}}));
    BOOST_TEST((shared.get<Point>("point") == Point{1, 2}));
    BOOST_TEST(shared.get<std::vector<std::string>>("list").size() == 2u);
    BOOST_TEST(shared.get<char>("letter") == 'x');
    BOOST_TEST(shared.get<int>("missing", 7) == 7);
    BOOST_TEST(shared.names().size() == 11u);
}

BOOST_AUTO_TEST_CASE(an_attribute_is_read_as_what_it_was_set_as) {
    mp::Namespace shared;
    shared.set("x", 300);
    shared.set("negative", -1);
    shared.set("text", "t");
    shared.set("point", Point{});
    const auto refused = [&](auto act, std::initializer_list<std::string_view> words) {
        support::expect_error<mp::TypeMismatch>(act, words);
    };
    refused([&] { static_cast<void>(shared.get<double>("x")); }, {"'x'", "a whole number"});
    refused([&] { static_cast<void>(shared.get<bool>("x")); }, {"'x'"});
    refused([&] { static_cast<void>(shared.get<std::string>("x")); }, {"'x'"});
    refused([&] { static_cast<void>(shared.get<std::int8_t>("x")); }, {"'x'", "wider"});
    refused([&] { static_cast<void>(shared.get<unsigned>("negative")); }, {"wider"});
    refused([&] { static_cast<void>(shared.get<int>("text")); }, {"text"});
    refused([&] { static_cast<void>(shared.get<std::vector<int>>("point")); },
            {"'point'", "Point"});
    refused([&] { shared.fetch_update<double>("x", [](double& x) { x = 1; }); }, {"'x'"});
    BOOST_TEST(shared.get<int>("x") == 300);
    shared.set("x", "another type");
    BOOST_TEST(shared.get<std::string>("x") == "another type");
}

BOOST_AUTO_TEST_CASE(attributes_that_are_not_there) {
    mp::Namespace shared;
    support::expect_error<mp::KeyNotFound>([&] { static_cast<void>(shared.get<int>("x")); },
                                           {"'x'", "Namespace"});
    shared.set("x", 1);
    BOOST_TEST(shared.contains("x"));
    BOOST_TEST(shared.erase("x"));
    BOOST_TEST(!shared.erase("x"));
    BOOST_TEST(!shared.contains("x"));
    support::expect_error<mp::KeyNotFound>([&] { static_cast<void>(shared.get<int>("x")); },
                                           {"'x'"});
}

BOOST_AUTO_TEST_CASE(it_prints_as_in_python) {
    mp::Namespace shared;
    BOOST_TEST(shared.to_string() == "Namespace()");
    shared.set("name", "Bob");
    shared.set("_hidden", 1);
    shared.set("age", 5);
    shared.set("tall", false);
    shared.set("height", 1.75);
    shared.set("no", std::monostate{});
    shared.set("raw", std::vector{std::byte{1}});
    BOOST_TEST(fmt::format("{}", shared) == "Namespace(name='Bob', age=5, tall=False, height=1.75, "
                                            "no=None, raw=<1 bytes>)");
    shared.clear();
    shared.set("a", 2.0);
    shared.set("b", -0.0);
    shared.set("c", 1e300);
    shared.set("d", std::numeric_limits<double>::infinity());
    BOOST_TEST(shared.to_string() == "Namespace(a=2.0, b=-0.0, c=1e+300, d=inf)");
}

BOOST_AUTO_TEST_CASE(an_attribute_that_is_changed_before_it_is_there) {
    const mp::Namespace shared;
    const auto add = [&](int more) {
        return shared.fetch_update<int>(
            "n", [&](int& n) { n += more; }, 5);
    };
    BOOST_TEST(add(1) == 5);
    BOOST_TEST(add(2) == 6);
    BOOST_TEST(shared.get<int>("n") == 8);
    support::expect_error<mp::KeyNotFound>(
        [&] { shared.fetch_update<int>("m", [](int& n) { n = 1; }); }, {"'m'"});
    BOOST_TEST((shared.names() == std::vector<std::string>{"n"}));
}

BOOST_AUTO_TEST_CASE(an_attribute_that_is_set_unless_it_is_there) {
    const mp::Namespace shared;
    BOOST_TEST(shared.setdefault("n", 3) == 3);
    BOOST_TEST(shared.setdefault("n", 4) == 3);
    BOOST_TEST(shared.setdefault<std::string>("text") == "");
    support::expect_error<mp::TypeMismatch>([&] { shared.setdefault("n", 1.5); }, {"'n'"});
    BOOST_TEST(shared.get<int>("n") == 3);
    BOOST_TEST((shared.names() == std::vector<std::string>{"n", "text"}));
}

BOOST_AUTO_TEST_CASE(an_attribute_is_added_to) {
    const mp::Namespace shared;
    BOOST_TEST(shared.fetch_add("n", 5) == 0);
    BOOST_TEST(shared.fetch_add("n", std::int64_t{-2}) == 5);
    BOOST_TEST(shared.get<int>("n") == 3);
    shared.set("text", "a");
    BOOST_TEST(shared.fetch_add<std::string>("text", "b") == "a");
    BOOST_TEST(shared.get<std::string>("text") == "ab");
    support::expect_error<mp::TypeMismatch>([&] { shared.fetch_add("text", 1); }, {"'text'"});
    BOOST_TEST(shared.get<std::string>("text") == "ab");
}

// Fails when it is not locked from the read to the write.
BOOST_AUTO_TEST_CASE(children_count_together) {
    mp::Namespace shared;
    shared.set("count", 0);
    const int rounds = support::scaled(2'000);
    mp::Barrier start{2};
    const auto work = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < rounds; ++i)
            shared.fetch_update<int>("count", [](int& count) {
                std::this_thread::yield();
                count += 1;
            });
    };
    mp::Process child{work};
    child.start();
    work();
    support::expect_exit(child);
    BOOST_TEST(shared.get<int>("count") == 2 * rounds);
    support::expect_error<mp::WouldDeadlock>(
        [&] {
            shared.fetch_update<int>("count",
                                     [&](int&) { static_cast<void>(shared.contains("x")); });
        },
        {"Namespace"});
}

BOOST_AUTO_TEST_CASE(named_ones) {
    auto made = mp::Namespace::create(support::own_name("namespace"));
    made.set("x", 1);
    support::run_in_child([] {
        auto shared = mp::Namespace::open(support::own_name("namespace"));
        support::demand(shared.get<int>("x") == 1);
        shared.set("y", 2);
    });
    BOOST_TEST(made.get<int>("y") == 2);
    support::expect_error<mp::NotFound>(
        [] { mp::Namespace::open(support::own_name("namespace-none")); }, {"none"});
    BOOST_TEST(mp::Namespace::open_or_create(support::own_name("namespace")).names().size() == 2u);
    made.clear();
    BOOST_TEST(made.names().empty());
    BOOST_TEST(mp::Namespace::remove(support::own_name("namespace")));
}

BOOST_AUTO_TEST_SUITE_END()
