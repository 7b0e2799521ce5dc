#include <multifork/multifork.hpp>

#include "conformance/start_methods.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <map>
#include <numeric>
#include <string>
#include <variant>
#include <vector>

// What CPython's tests do with a manager's containers. Here there is no manager: the containers lie
// in shared memory.

namespace mp = multifork;
namespace support = multifork::test;

namespace {

std::vector<int> range(int from, int to) {
    std::vector<int> numbers(static_cast<std::size_t>(to - from));
    std::iota(numbers.begin(), numbers.end(), from);
    return numbers;
}

} // namespace

BOOST_AUTO_TEST_SUITE(manager)

// Elements of several types are those of a variant.
MULTIFORK_EACH_START_METHOD(M_001_what_a_shared_list_can_do) {
    mp::List<int> a(range(0, 10));
    BOOST_TEST((a.copy() == range(0, 10)));
    mp::List<int> b;
    BOOST_TEST(b.copy().empty());
    b.extend(range(0, 5));
    BOOST_TEST((b.copy() == range(0, 5)));
    BOOST_TEST(b.at(2) == 2);
    BOOST_TEST((b.slice(2, 10) == std::vector<int>{2, 3, 4}));
    b *= 2;
    const std::vector<int> twice{0, 1, 2, 3, 4, 0, 1, 2, 3, 4};
    BOOST_TEST((b.copy() == twice));
    BOOST_TEST(
        ((b + std::vector<int>{5, 6}) == std::vector<int>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6}));
    BOOST_TEST((a.copy() == range(0, 10)));

    using Mixed = mp::List<std::variant<int, std::string>>;
    Mixed numbers(a.copy());
    Mixed empty;
    mp::List<Mixed> outer{numbers, empty};
    BOOST_TEST((outer.at(0).copy() == numbers.copy()));
    BOOST_TEST(outer.at(1).empty());
    numbers.append("hello");
    BOOST_TEST(std::get<std::string>(outer.at(0).at(-1)) == "hello");
    BOOST_TEST(outer.at(0).size() == 11u);
    support::run_in_child(
        context, [](mp::List<Mixed> lists) { lists.at(1).append(7); }, outer);
    BOOST_TEST(std::get<int>(empty.at(0)) == 7);
}

BOOST_AUTO_TEST_CASE(M_002_an_iterator_over_a_shared_list) {
    mp::List<int> list(range(0, 10));
    auto it = list.begin();
    for (int i = 0; i < 10; ++i, ++it)
        BOOST_TEST(*it == i);
    BOOST_TEST((it == list.end()));

    auto live = list.begin();
    list.set(0, 100);
    std::vector<int> seen;
    for (; live != list.end(); ++live)
        seen.push_back(*live);
    std::vector<int> expected = range(0, 10);
    expected[0] = 100;
    BOOST_TEST((seen == expected));
}

// copy() is a std::map, sorted by key; items() keep the order in which they came.
MULTIFORK_EACH_START_METHOD(M_004_copies_of_a_shared_dict) {
    mp::Dict<int, std::string> dict;
    std::map<int, std::string> same;
    std::vector<std::string> letters;
    for (const int code : range(65, 70)) {
        letters.emplace_back(1, static_cast<char>(code));
        same[code] = letters.back();
    }
    support::run_in_child(
        context,
        [](mp::Dict<int, std::string> filled) {
            for (int code = 65; code < 70; ++code)
                filled[code] = std::string(1, static_cast<char>(code));
        },
        dict);
    BOOST_TEST((dict.copy() == same));
    BOOST_TEST((dict.keys() == range(65, 70)));
    BOOST_TEST((dict.values() == letters));
    BOOST_TEST(
        (dict.items() == std::vector<std::pair<int, std::string>>(same.begin(), same.end())));
}

MULTIFORK_EACH_START_METHOD(M_007_queues_inside_of_containers) {
    mp::List<mp::Queue<int>> list;
    list.append(mp::Queue<int>{4}); // nobody else holds it
    list.at(0).put(123);
    BOOST_TEST(list.at(0).get() == 123);

    mp::Dict<int, mp::Queue<int>> dict;
    dict.set(0, mp::Queue<int>{4});
    support::run_in_child(
        context, [](mp::Dict<int, mp::Queue<int>> queues) { queues.at(0).put(456); }, dict);
    BOOST_TEST(dict.at(0).get() == 456);
}

MULTIFORK_EACH_START_METHOD(M_008_a_shared_namespace) {
    mp::Namespace shared;
    support::run_in_child(
        context,
        [](mp::Namespace attributes) {
            attributes.set("name", "Bob");
            attributes.set("job", "Builder");
            attributes.set("_hidden", "hidden");
        },
        shared);
    BOOST_TEST(shared.get<std::string>("name") == "Bob");
    BOOST_TEST(shared.get<std::string>("job") == "Builder");
    BOOST_TEST(shared.erase("job"));
    BOOST_TEST(fmt::format("{}", shared) == "Namespace(name='Bob')");
    BOOST_TEST(shared.contains("name"));
    BOOST_TEST(!shared.contains("job"));
    support::expect_error<mp::KeyNotFound>(
        [&] { static_cast<void>(shared.get<std::string>("job")); }, {"'job'"});
}

BOOST_AUTO_TEST_SUITE_END()
