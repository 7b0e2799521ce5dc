#include <multifork/channel/dict.hpp>
#include <multifork/sync/barrier.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <multifork/core/dict_table.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <complex>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

using Items = std::vector<std::pair<std::string, int>>;

struct Place { // a gap between its members
    char row = 0;
    int column = 0;
    auto operator<=>(const Place&) const = default;
};
/// As Place, but nobody can take it apart.
class Closed {
public:
    Closed() = default;
    Closed(char row, int column) : row_(row), column_(column) {}
    [[nodiscard]] int sum() const { return row_ + column_; }

private:
    char row_ = 0;
    int column_ = 0;
};
/// As Closed, and says itself what is in it.
class Told {
public:
    Told() = default;
    Told(char row, int column) : row_(row), column_(column) {}
    void save(mp::ByteWriter& writer) const { writer(row_, column_); }
    void load(mp::ByteReader& reader) { reader(row_, column_); }
    auto operator<=>(const Told&) const = default;

private:
    char row_ = 0;
    int column_ = 0;
};
/// Without gaps.
class Solid {
public:
    Solid() = default;
    explicit Solid(int number) : number_(number) {}
    auto operator<=>(const Solid&) const = default;

private:
    int number_ = 0;
};
struct Point {
    float x = 0;
    double y = 0;
    std::array<double, 2> more{};
    auto operator<=>(const Point&) const = default;
};
template <class T>
struct Around { // not trivially copyable
    std::string name;
    T inner;
    auto operator<=>(const Around&) const = default;
};

static_assert(mp::Key<Place> && mp::Key<Told> && mp::Key<Solid> && mp::Key<Point>);
static_assert(mp::Key<std::vector<Solid>> && mp::Key<Around<Place>>);
static_assert(!mp::Key<Closed> && !mp::Key<long double>);

struct Large {
    std::array<std::int64_t, 3> numbers{};
    auto operator<=>(const Large&) const = default;
};
struct Moody {
    int number = 0;
    std::string text;
    static inline bool refuses = false;
    template <class Archive>
    void serialize(Archive& archive) {
        if (refuses)
            throw std::runtime_error("not now");
        archive(number, text);
    }
};

template <class K>
void keeps_keys(const std::set<K>& keys) {
    mp::Dict<K, int> dict;
    int n = 0;
    for (const K& key : keys)
        dict.set(key, n++);
    n = 0;
    for (const K& key : keys)
        BOOST_TEST(dict.at(key) == n++);
    for (const K& key : dict.keys()) {
        BOOST_TEST(keys.contains(key));
        BOOST_TEST(dict.erase(key));
    }
    BOOST_TEST(dict.empty());
}

} // namespace

BOOST_AUTO_TEST_SUITE(dict)

BOOST_AUTO_TEST_CASE(keys_of_every_shape_are_found) {
    keeps_keys<int>({1, -2, 3});
    keeps_keys<bool>({true, false});
    keeps_keys<std::string>({"", "a", "ab", std::string(5000, 'x')});
    keeps_keys<double>({0.5, -1.0});
    keeps_keys<Large>({Large{{1, 2, 3}}, Large{}});
    keeps_keys<std::pair<int, std::string>>({{1, "a"}, {1, "b"}});
    keeps_keys<std::tuple<char, int>>({{'a', 1}, {'b', 1}});
    keeps_keys<std::variant<int, std::string>>({1, "one"});
    keeps_keys<std::optional<int>>({1, std::nullopt});
    keeps_keys<Told>({{'a', 1}, {'b', 1}});
    keeps_keys<std::vector<Solid>>({{}, {Solid(1)}, {Solid(1), Solid(2)}});
    keeps_keys<Around<Place>>({{"a", {'b', 1}}, {"a", {'b', 2}}});
    keeps_keys<Around<std::vector<Told>>>({{"a", {}}, {"a", {{'b', 2}}}});
    keeps_keys<std::vector<double>>({{}, {1.5}, {1.5, -2.5}});
    keeps_keys<std::pair<float, bool>>({{0.5f, true}, {0.5f, false}});
}

BOOST_AUTO_TEST_CASE(what_lies_between_members_is_no_part_of_a_key) {
    mp::Dict<Place, int> dict;
    alignas(Place) std::array<unsigned char, sizeof(Place)> dirty{};
    for (const unsigned char dirt : std::array<unsigned char, 3>{0x00, 0xff, 0x5a}) {
        dirty.fill(dirt);
        auto& place = *new (dirty.data()) Place;
        place.row = 'a';
        place.column = 7;
        dict.fetch_add(place, 1);
    }
    BOOST_TEST(dict.size() == 1u);
    BOOST_TEST(dict.at({'a', 7}) == 3);
}

template <class K>
void one_key(const K& positive, const K& negative) {
    mp::Dict<K, int> zeros{{negative, 1}};
    BOOST_TEST(zeros.contains(positive));
    zeros.set(positive, 2);
    BOOST_TEST(zeros.size() == 1u);
    BOOST_TEST(zeros.at(negative) == 2);
    BOOST_TEST((zeros.keys() == std::vector<K>{positive}));
}

BOOST_AUTO_TEST_CASE(the_two_zeros_are_one_key) {
    one_key(0.0, -0.0);
    one_key(0.0f, -0.0f);
    one_key(Point{0.0f, 0.0, {1, 0.0}}, Point{-0.0f, -0.0, {1, -0.0}});
    one_key(std::pair{0.0, 1}, std::pair{-0.0, 1});
    one_key(std::vector{0.0, 1.0}, std::vector{-0.0, 1.0});
    one_key(std::array{0.0f, 1.0f}, std::array{-0.0f, 1.0f});
    one_key(std::optional{0.0}, std::optional{-0.0});
    one_key(std::complex{0.0, 1.0}, std::complex{-0.0, 1.0});
    one_key(Around<double>{"a", 0.0}, Around<double>{"a", -0.0});
}

// Programs that were built apart share named dicts.
BOOST_AUTO_TEST_CASE(hashes_are_the_same_everywhere) {
    const auto hash = [](const char* text) {
        return mp::core::stable_hash(std::as_bytes(std::span(text, std::strlen(text))));
    };
    BOOST_TEST(hash("") == 0xefd01f60ba992926u);
    BOOST_TEST(hash("multifork") == 0xe366fa530b9db31du);
    BOOST_TEST(hash("a") != hash("b"));
}

BOOST_AUTO_TEST_CASE(the_operations_of_a_python_dict) {
    mp::Dict<std::string, int> dict{{"one", 1}, {"two", 2}};
    BOOST_TEST(dict.size() == 2u);
    BOOST_TEST(dict.at("one") == 1);
    BOOST_TEST(dict.get("two").value() == 2);
    BOOST_TEST(!dict.get("three"));
    BOOST_TEST(dict.get("three", 33) == 33);
    BOOST_TEST(dict.setdefault("three", 3) == 3);
    BOOST_TEST(dict.setdefault("three", 4) == 3);
    dict["two"] = 22;
    const int two = dict["two"];
    BOOST_TEST(two == 22);
    dict.update({{"four", 4}, {"one", 11}, {"four", 44}});
    dict.update(std::map<std::string, int>{{"five", 5}});
    BOOST_TEST(
        (dict.items() == Items{{"one", 11}, {"two", 22}, {"three", 3}, {"four", 44}, {"five", 5}}));
    BOOST_TEST(dict.pop("two") == 22);
    BOOST_TEST(dict.pop("two", -1) == -1);
    BOOST_TEST((dict.popitem() == std::pair<std::string, int>("five", 5)));
    dict["two"] = 2; // at the end now
    BOOST_TEST((dict.keys() == std::vector<std::string>{"one", "three", "four", "two"}));
    BOOST_TEST((dict.values() == std::vector<int>{11, 3, 44, 2}));
    BOOST_TEST(dict.erase("one"));
    BOOST_TEST(!dict.erase("one"));
    BOOST_TEST((dict.copy() == std::map<std::string, int>{{"three", 3}, {"four", 44}, {"two", 2}}));
    BOOST_TEST(dict.to_string() == "<Dict 3 items>");
    dict.clear();
    BOOST_TEST(dict.empty());
    BOOST_TEST(!dict.try_popitem());
    dict.update(Items{});
    dict.set("again", 1);
    BOOST_TEST(dict.size() == 1u);
}

BOOST_AUTO_TEST_CASE(keys_that_are_not_there) {
    mp::Dict<std::string, int> dict{{"a", 1}};
    support::expect_error<mp::KeyNotFound>([&] { static_cast<void>(dict.at("b")); },
                                           {"Dict", "key 'b'", "get()"});
    support::expect_error<mp::KeyNotFound>([&] { dict.pop("b"); }, {"key 'b'"});
    support::expect_error<mp::KeyNotFound>([&] { static_cast<void>(dict["b"].get()); }, {"'b'"});
    support::expect_error<mp::KeyNotFound>([&] { dict.fetch_update("b", [](int& n) { n = 1; }); },
                                           {"'b'"});
    BOOST_TEST(!dict.contains("b"));
    dict.clear();
    support::expect_error<mp::KeyNotFound>([&] { dict.popitem(); }, {"items"});
}

BOOST_AUTO_TEST_CASE(one_value_is_changed_in_one_step) {
    mp::Dict<std::string, int> dict;
    BOOST_TEST(dict.fetch_add("a", 5) == 0);
    BOOST_TEST(dict.fetch_add("a", 1) == 5);
    BOOST_TEST(dict.fetch_update("a", [](const int& n) { return n * 2; }) == 6);
    BOOST_TEST(dict.fetch_update(
                   "b", [](int& n) { n += 1; }, 10) == 10);
    BOOST_TEST((dict.items() == Items{{"a", 12}, {"b", 11}}));
}

// The same operations on a std::map, and the order beside it.
BOOST_AUTO_TEST_CASE(random_operations) {
    std::mt19937 random(4711);
    const auto before = mp::arena::arena_usage().blocks_used;
    mp::Dict<std::string, std::string> dict;
    std::map<std::string, std::string> model;
    std::vector<std::string> order;
    const auto forget = [&](const std::string& key) {
        model.erase(key);
        std::erase(order, key);
    };
    const auto put = [&](const std::string& key, const std::string& value) {
        if (!model.contains(key))
            order.push_back(key);
        model[key] = value;
    };
    for (int i = 0; i < support::scaled(20'000); ++i) {
        const std::string key = "key " + std::to_string(random() % 200);
        const std::string value = std::to_string(i);
        switch (random() % 8) {
        case 0:
        case 1:
        case 2:
            dict.set(key, value);
            put(key, value);
            break;
        case 3:
        case 4:
            BOOST_TEST_REQUIRE(dict.erase(key) == model.contains(key));
            forget(key);
            break;
        case 5:
            if (!order.empty()) {
                const std::string last = order.back();
                BOOST_TEST_REQUIRE((dict.popitem() == std::pair(last, model[last])));
                forget(last);
            }
            break;
        case 6:
            dict.update({{key, "x"}, {"key 3", "y"}, {key, "z"}});
            put(key, "x");
            put("key 3", "y");
            put(key, "z");
            break;
        default:
            BOOST_TEST_REQUIRE(dict.get(key).has_value() == model.contains(key));
        }
        if (i % 1000 == 0) {
            BOOST_TEST_REQUIRE((dict.copy() == model));
            BOOST_TEST_REQUIRE((dict.keys() == order));
        }
    }
    BOOST_TEST((dict.copy() == model));
    BOOST_TEST((dict.keys() == order));
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before + 2 + 2 * model.size());
    dict.clear();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before + 1);
}

BOOST_AUTO_TEST_CASE(a_hundred_thousand_keys) {
    mp::Dict<int, int> dict;
    const int count = support::scaled(100'000);
    for (int i = 0; i < count; ++i)
        dict.set(i, -i);
    BOOST_TEST(dict.size() == static_cast<std::size_t>(count));
    for (int i = 0; i < count; i += 97)
        BOOST_TEST(dict.at(i) == -i);
    for (int i = 0; i < count; ++i)
        BOOST_TEST_REQUIRE(dict.erase(i));
    BOOST_TEST(dict.empty());
}

// As in a cache: a key comes, the oldest goes. What has gone does not make the table grow.
BOOST_AUTO_TEST_CASE(keys_that_come_and_go_need_no_more_memory) {
    mp::Dict<int, int> dict;
    constexpr int living = 10;
    for (int i = 0; i < living; ++i)
        dict.set(i, i);
    const auto before = mp::arena::arena_usage().bytes_used;
    for (int i = living; i < support::scaled(5'000); ++i) {
        dict.set(i, i);
        BOOST_TEST_REQUIRE(dict.erase(i - living));
    }
    BOOST_TEST(dict.size() == static_cast<std::size_t>(living));
    BOOST_TEST(mp::arena::arena_usage().bytes_used <= before + 1000);
}

BOOST_AUTO_TEST_CASE(a_dropped_dict_gives_all_its_memory_back) {
    const auto before = mp::arena::arena_usage();
    {
        mp::Dict<std::string, std::string> dict;
        for (int i = 0; i < 100; ++i)
            dict.set(std::to_string(i), std::string(200, 'x'));
        mp::Dict<int, Large> other{{1, {}}, {2, {}}};
        const auto same = other;
    }
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used);
    BOOST_TEST(mp::arena::arena_usage().bytes_used == before.bytes_used);
}

BOOST_AUTO_TEST_CASE(iteration_is_over_a_snapshot) {
    mp::Dict<std::string, int> dict{{"a", 1}, {"b", 2}};
    Items seen;
    for (const auto& [key, value] : dict) {
        seen.emplace_back(key, value);
        dict.clear();
        dict.set("c", 3);
    }
    BOOST_TEST((seen == Items{{"a", 1}, {"b", 2}}));
}

BOOST_AUTO_TEST_CASE(copies_of_the_handle_are_the_same_dict_and_copy_is_another) {
    mp::Dict<std::string, int> dict{{"a", 1}};
    auto same = dict;
    auto other = mp::copy(dict);
    same["b"] = 2;
    other["c"] = 3;
    BOOST_TEST((dict.items() == Items{{"a", 1}, {"b", 2}}));
    BOOST_TEST((other.items() == Items{{"a", 1}, {"c", 3}}));
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_users_leaves_the_dict_as_it_was) {
    mp::Dict<int, Moody> dict;
    dict.set(1, {1, "one"});
    const auto blocks = mp::arena::arena_usage().blocks_used;
    const auto refused = [&](auto act) {
        Moody::refuses = true;
        BOOST_CHECK_THROW(act(), std::runtime_error);
        Moody::refuses = false;
        BOOST_TEST(dict.size() == 1u);
        BOOST_TEST(dict.at(1).text == "one");
        BOOST_TEST(mp::arena::arena_usage().blocks_used == blocks);
    };
    refused([&] { dict.set(1, {2, "two"}); });
    refused([&] { dict.set(2, {2, "two"}); });
    refused([&] { dict.setdefault(2); });
    refused([&] { static_cast<void>(dict.at(1)); });
    refused([&] { dict.pop(1); });
    refused([&] { dict.popitem(); });
    refused([&] { dict.update({{2, {}}, {3, {}}}); });
    refused([&] { dict.fetch_update(1, [](Moody& moody) { moody.text = "x"; }); });
    Moody::refuses = false;
    BOOST_CHECK_THROW(dict.fetch_update(
                          3, [](Moody&) { throw std::runtime_error("no"); }, Moody{}),
                      std::runtime_error);
    BOOST_TEST(!dict.contains(3));
}

BOOST_AUTO_TEST_CASE(a_function_that_uses_its_own_dict_is_told_so) {
    mp::Dict<std::string, int> dict{{"a", 1}};
    support::expect_error<mp::WouldDeadlock>(
        [&] { dict.fetch_update("a", [&](int&) { dict.set("b", 2); }); }, {"from within", "Dict"});
    BOOST_TEST((dict.items() == Items{{"a", 1}}));
    dict.update(dict.items());
    dict.update(dict);
    BOOST_TEST(dict.size() == 1u);
}

// Fails when the dict is not locked from the read to the write.
BOOST_AUTO_TEST_CASE(increments_of_threads_and_processes_are_kept) {
    mp::Dict<std::string, int> dict;
    mp::Barrier start{2};
    const int rounds = support::scaled(5'000);
    const auto slowly = [](int& number) {
        std::this_thread::yield();
        number += 1;
    };
    const auto work = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < rounds; ++i) {
            if (i % 4 == 0)
                dict.fetch_update("all", slowly, 0);
            else
                dict.fetch_add("all", 1);
            dict.set(std::to_string(i % 50), i);
            if (i % 7 == 0)
                dict.erase(std::to_string(i % 50));
        }
    };
    std::thread other(work);
    support::run_in_child(work);
    other.join();
    BOOST_TEST(dict.at("all") == 2 * rounds);
    BOOST_TEST(dict.size() <= 51u);
}

BOOST_AUTO_TEST_CASE(named_dicts) {
    auto made = mp::Dict<std::string, int>::create(support::own_name("dict"));
    made["a"] = 1;
    support::run_in_child([] {
        auto dict = mp::Dict<std::string, int>::open(support::own_name("dict"));
        support::demand(dict.at("a") == 1);
        dict["b"] = 2;
    });
    BOOST_TEST(made.at("b") == 2);
    using Other = mp::Dict<std::string, double>;
    support::expect_error<mp::LayoutMismatch>([] { Other::open(support::own_name("dict")); },
                                              {support::own_name("dict"), "Dict"});
    using Missing = mp::Dict<std::string, int>;
    support::expect_error<mp::NotFound>([] { Missing::open(support::own_name("dict-none")); },
                                        {"none"});
    BOOST_TEST(Missing::open_or_create(support::own_name("dict")).size() == 2u);
    BOOST_TEST(Missing::remove(support::own_name("dict")));
}

BOOST_AUTO_TEST_CASE(a_dict_whose_memory_is_full) {
    auto dict = mp::Dict<int, std::string>::create(support::own_name("full-dict"), 16u << 10);
    std::map<int, std::string> model;
    try {
        for (int i = 0;; ++i) {
            dict.set(i, "value " + std::to_string(i));
            model[i] = "value " + std::to_string(i);
        }
    } catch (const mp::OutOfSharedMemory&) {
    }
    BOOST_TEST(model.size() > 10u);
    BOOST_TEST((dict.copy() == model));
    BOOST_CHECK_THROW(dict.update({{1, "x"}, {-1, "y"}}), mp::OutOfSharedMemory);
    BOOST_CHECK_THROW(dict.set(0, std::string(16'000, 'x')), mp::OutOfSharedMemory);
    BOOST_TEST((dict.copy() == model));
    while (!model.empty()) { // taking out needs no memory
        BOOST_TEST(dict.pop(model.begin()->first) == model.begin()->second);
        model.erase(model.begin());
    }
    dict.set(1, "still good");
    BOOST_TEST(dict.at(1) == "still good");
}

BOOST_AUTO_TEST_SUITE_END()
