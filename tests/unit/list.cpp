#include <multifork/channel/dict.hpp>
#include <multifork/channel/list.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <multifork/core/container_cell.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

struct Large { // trivially copyable, and more than a word
    std::array<std::int64_t, 5> numbers{};
    bool operator==(const Large&) const = default;
};
struct Person { // taken apart by the codec
    std::string name;
    int age = 0;
    bool operator==(const Person&) const = default;
};
enum class Colour : std::uint8_t { red, green };

template <class T>
void keeps(const std::vector<T>& values) {
    mp::List<T> list(values);
    BOOST_TEST((list.copy() == values));
    list *= 2;
    BOOST_TEST(list.size() == 2 * values.size());
    BOOST_TEST((list.at(-1) == values.back()));
    BOOST_TEST((list.pop(0) == values.front()));
    list.set(0, values.back());
    BOOST_TEST((list.at(0) == values.back()));
}

template <class List>
concept is_changed_in_place = requires(const List& list) {
    list[0]->append("!");
};

std::string text(std::size_t n) {
    return "element number " + std::to_string(n);
}

} // namespace

BOOST_AUTO_TEST_SUITE(list)

BOOST_AUTO_TEST_CASE(elements_of_every_shape_are_kept) {
    keeps<int>({1, -2, 3});
    keeps<bool>({true, false});
    keeps<double>({0.5, -0.25});
    keeps<std::uint64_t>({1, ~std::uint64_t{0}});
    keeps<Colour>({Colour::red, Colour::green});
    keeps<Large>({Large{{1, 2, 3, 4, 5}}, Large{}});
    keeps<std::string>({"a", "", std::string(10'000, 'x')});
    keeps<Person>({{"Ann", 5}, {"Bob", 6}});
    keeps<std::vector<std::string>>({{"a", "b"}, {}});
    keeps<std::optional<std::string>>({"a", std::nullopt});
    keeps<std::variant<int, std::string>>({1, "two"});
    keeps<std::map<std::string, int>>({{{"a", 1}}, {}});
}

BOOST_AUTO_TEST_CASE(a_new_list_is_empty) {
    mp::List<int> list;
    BOOST_TEST(list.empty());
    BOOST_TEST(list.copy().empty());
    BOOST_TEST(list.to_string() == "<List 0 elements>");
    list.clear();
    list.sort();
    list.reverse();
    list *= 5;
    list.extend({});
    list.assign(0, 10, {});
    BOOST_TEST(list.slice(0).empty());
    BOOST_TEST(!list.get(0));
    BOOST_TEST(!list.try_pop());
    BOOST_TEST(!list.index(1));
    BOOST_TEST(!list.remove_first(1));
    for ([[maybe_unused]] const int element : list)
        BOOST_ERROR("an empty list has an element");
}

BOOST_AUTO_TEST_CASE(indices_count_from_both_ends) {
    mp::List<std::string> list{"a", "b", "c"};
    BOOST_TEST(list.at(0) == "a");
    BOOST_TEST(list.at(-1) == "c");
    BOOST_TEST(list.get(-3).value() == "a");
    BOOST_TEST(!list.get(-4));
    BOOST_TEST(!list.get(3));
    list.set(-1, "z");
    list[0] = "y";
    list[1] = list[0];
    BOOST_TEST((list.copy() == std::vector<std::string>{"y", "y", "z"}));
    BOOST_TEST((list[2] == "z"));
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(list.at(3)); },
                                               {"at(3)", "3 elements"});
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(list.at(-4)); }, {"-4"});
    support::expect_error<mp::InvalidArgument>([&] { list.set(3, "x"); }, {"set(3)"});
    support::expect_error<mp::InvalidArgument>([&] { list.pop(5); }, {"pop(5)"});
    support::expect_error<mp::InvalidArgument>([&] { list.erase(5); }, {"erase(5)"});
    list.clear();
    support::expect_error<mp::InvalidArgument>([&] { list.pop(); }, {"empty"});
}

BOOST_AUTO_TEST_CASE(the_operations_of_a_python_list) {
    mp::List<int> list{3, 1, 2};
    list.append(1);
    list.insert(1, 9);
    list.insert(-100, 8);
    list.insert(100, 7);
    BOOST_TEST((list.copy() == std::vector<int>{8, 3, 9, 1, 2, 1, 7}));
    BOOST_TEST(list.count(1) == 2u);
    BOOST_TEST(list.index(1).value() == 3u);
    BOOST_TEST(list.contains(9));
    BOOST_TEST(list.remove_first(1));
    BOOST_TEST(!list.remove_first(1000));
    BOOST_TEST(list.pop(0) == 8);
    BOOST_TEST(list.pop() == 7);
    BOOST_TEST(list.pop(-2) == 2);
    BOOST_TEST((list.copy() == std::vector<int>{3, 9, 1}));
    list.sort();
    BOOST_TEST((list.copy() == std::vector<int>{1, 3, 9}));
    list.sort(std::ranges::greater{});
    BOOST_TEST((list.copy() == std::vector<int>{9, 3, 1}));
    list.reverse();
    list *= 2;
    BOOST_TEST((list.copy() == std::vector<int>{1, 3, 9, 1, 3, 9}));
    list *= -1;
    BOOST_TEST(list.empty());
}

BOOST_AUTO_TEST_CASE(slices_are_cut_to_what_there_is) {
    mp::List<int> list{0, 1, 2, 3, 4};
    BOOST_TEST((list.slice(2, 10) == std::vector<int>{2, 3, 4}));
    BOOST_TEST((list.slice(-2) == std::vector<int>{3, 4}));
    BOOST_TEST((list.slice(-100, 2) == std::vector<int>{0, 1}));
    BOOST_TEST(list.slice(3, 1).empty());
    list.assign(1, 3, {10, 11, 12});
    BOOST_TEST((list.copy() == std::vector<int>{0, 10, 11, 12, 3, 4}));
    list.assign(3, 1, {7}); // as Python: put in before 3
    BOOST_TEST((list.copy() == std::vector<int>{0, 10, 11, 7, 12, 3, 4}));
    list.erase(1, 4);
    BOOST_TEST((list.copy() == std::vector<int>{0, 12, 3, 4}));
    list.erase(2, 100);
    BOOST_TEST((list.copy() == std::vector<int>{0, 12}));
    list.assign(0, 2, {});
    BOOST_TEST(list.empty());
}

BOOST_AUTO_TEST_CASE(sorting_is_stable_and_by_any_key) {
    mp::List<Person> list{{"Cid", 3}, {"Ann", 5}, {"Bob", 3}};
    list.sort({}, &Person::age);
    BOOST_TEST((list.copy() == std::vector<Person>{{"Cid", 3}, {"Bob", 3}, {"Ann", 5}}));
    list.sort([](const Person& a, const Person& b) { return a.name > b.name; });
    BOOST_TEST((list.at(0) == Person{"Cid", 3}));
}

BOOST_AUTO_TEST_CASE(one_element_is_changed_in_one_step) {
    mp::List<int> numbers{1, 2};
    BOOST_TEST(numbers.fetch_add(0, 5) == 1);
    BOOST_TEST(numbers.at(0) == 6);
    mp::List<std::string> texts{"a"};
    BOOST_TEST(texts.fetch_add(0, "b") == "a");
    BOOST_TEST(texts.fetch_update(0, [](const std::string& old) { return old + "c"; }) == "ab");
    BOOST_TEST(texts.at(0) == "abc");
}

BOOST_AUTO_TEST_CASE(an_element_that_is_a_handle_is_used_in_place) {
    const mp::List<mp::List<int>> lists{mp::List<int>{}, mp::List<int>{1}};
    lists[0]->append(7);
    lists[-1].get()[0] = 8;
    for (const auto& list : lists)
        list.append(9);
    BOOST_TEST((lists.at(0).copy() == std::vector<int>{7, 9}));
    BOOST_TEST((lists.at(1).copy() == std::vector<int>{8, 9}));
    const mp::Dict<std::string, mp::Dict<std::string, int>> dicts{{"a", {}}};
    dicts["a"]->set("b", 1);
    dicts.at("a")["b"] = 2;
    BOOST_TEST(dicts["a"]->at("b") == 2);
    // What is no handle comes as a copy: nobody may think that he changes the list.
    const mp::List<std::string> texts{"one"};
    BOOST_TEST(texts[0]->size() == 3u);
    static_assert(!is_changed_in_place<mp::List<std::string>>);
    BOOST_TEST((texts[0] == texts[0]));
}

BOOST_AUTO_TEST_CASE(a_million_elements) {
    mp::List<int> list;
    const int count = support::scaled(1'000'000);
    for (int i = 0; i < count; ++i)
        list.append(i);
    BOOST_TEST(list.size() == static_cast<std::size_t>(count));
    BOOST_TEST(list.at(-1) == count - 1);
    BOOST_TEST((list.copy() == mp::List<int>(std::views::iota(0, count)).copy()));
}

// The same operations on a std::vector.
BOOST_AUTO_TEST_CASE(random_operations) {
    std::mt19937 random(4711);
    mp::List<std::string> list;
    std::vector<std::string> model;
    const auto before = mp::arena::arena_usage().blocks_used;
    const auto some = [&] { return text(random() % 100); };
    const auto place = [&](std::size_t beyond) {
        return static_cast<std::ptrdiff_t>(random() % (model.size() + beyond));
    };
    for (int i = 0; i < support::scaled(5000); ++i) {
        switch (random() % 10) {
        case 0:
        case 1:
        case 2:
            model.push_back(some());
            list.append(model.back());
            break;
        case 3: {
            const auto at = place(1);
            const std::string value = some();
            model.insert(model.begin() + at, value);
            list.insert(at, value);
            break;
        }
        case 4:
            if (!model.empty()) {
                const auto at = place(0);
                BOOST_TEST_REQUIRE(list.pop(at) == model[static_cast<std::size_t>(at)]);
                model.erase(model.begin() + at);
            }
            break;
        case 5:
            if (!model.empty()) {
                BOOST_TEST_REQUIRE(list.pop() == model.back());
                model.pop_back();
            }
            break;
        case 6:
            if (!model.empty()) {
                const auto at = place(0);
                model[static_cast<std::size_t>(at)] = some();
                list.set(at, model[static_cast<std::size_t>(at)]);
            }
            break;
        case 7:
            std::ranges::sort(model);
            list.sort();
            break;
        case 8: {
            const std::vector<std::string> values{some(), some(), some()};
            model.insert(model.end(), values.begin(), values.end());
            list.extend(values);
            break;
        }
        default: {
            const auto from = place(1);
            const auto to = std::min(from + 3, static_cast<std::ptrdiff_t>(model.size()));
            model.erase(model.begin() + from, model.begin() + to);
            list.erase(from, from + 3);
        }
        }
        if (i % 100 == 0)
            BOOST_TEST_REQUIRE((list.copy() == model));
    }
    BOOST_TEST((list.copy() == model));
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before + 1 + model.size());
    list.clear();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before);
}

BOOST_AUTO_TEST_CASE(a_range_may_come_from_the_list_itself) {
    mp::List<int> list{1, 2};
    list.extend(list);
    BOOST_TEST((list.copy() == std::vector<int>{1, 2, 1, 2}));
    BOOST_TEST(((list + list).size() == 8u));
}

BOOST_AUTO_TEST_CASE(an_iterator_sees_what_others_do_and_a_copy_does_not) {
    mp::List<int> list{1, 2, 3};
    std::vector<int> seen;
    for (const int element : list) {
        seen.push_back(element);
        if (element == 2)
            list.append(4);
        if (list.size() < 10)
            list.set(-1, 9);
    }
    BOOST_TEST((seen == std::vector<int>{1, 2, 9, 9}));
    for (const int element : list.copy())
        list.append(element);
    BOOST_TEST(list.size() == 8u);
}

// Before its elements are made, which would be in private memory.
BOOST_AUTO_TEST_CASE(what_has_no_room_is_not_repeated) {
    mp::List<char> list{'a', 'b'};
    support::expect_error<mp::OutOfSharedMemory>([&] { list *= 1'000'000'000'000; }, {});
    BOOST_TEST((list.copy() == std::vector{'a', 'b'}));
    mp::List<std::string> texts{"a"};
    support::expect_error<mp::OutOfSharedMemory>([&] { texts *= 1'000'000'000'000; }, {});
    BOOST_TEST((texts.copy() == std::vector<std::string>{"a"}));
}

// After elements were taken out of the middle, which makes a new table, there is room for others.
BOOST_AUTO_TEST_CASE(a_table_without_some_elements_has_room_for_more) {
    const std::string name = support::unique_name("room");
    const auto list = mp::List<int>::create(name, 65536);
    const support::Bytes bytes(name);
    const auto root = [&] { return bytes.root<mp::core::ContainerHeader>().root.load(); };
    for (int i = 0; i < 100; ++i)
        list.append(i);
    list.erase(0);
    for (int i = 0; i < 20; ++i) {
        const std::uint64_t before = root();
        list.append(i);
        BOOST_TEST(root() == before);
    }
    list.erase(0, 100);
    BOOST_TEST(bytes.at<std::uint64_t>(root()) < 64u); // and no room for all that there were
}

/// More than a word, and only its maker has one.
class Stamp {
public:
    Stamp(std::int64_t first, std::int64_t second) : numbers_{first, second} {}
    bool operator==(const Stamp&) const = default;

private:
    std::array<std::int64_t, 2> numbers_;
};

BOOST_AUTO_TEST_CASE(elements_without_a_default) {
    static_assert(mp::Crossable<Stamp> && !std::default_initializable<Stamp>);
    mp::List<Stamp> list{{1, 2}, {3, 4}};
    BOOST_TEST((list.at(1) == Stamp(3, 4)));
    BOOST_TEST((list.pop() == Stamp(3, 4)));
    BOOST_TEST((list.copy() == std::vector<Stamp>{{1, 2}}));
    mp::Dict<int, Stamp> dict{{1, Stamp(5, 6)}};
    BOOST_TEST((dict.at(1) == Stamp(5, 6)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_repeated_is_refused) {
    mp::List<int> list{1, 2};
    support::expect_error<mp::InvalidArgument>(
        [&] { list *= std::numeric_limits<std::ptrdiff_t>::max(); }, {"memory"});
    BOOST_TEST(list.size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()
