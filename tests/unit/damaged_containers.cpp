#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <multifork/core/container_cell.hpp>
#include <multifork/core/dict_table.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
namespace core = multifork::core;

namespace {

constexpr std::array<std::uint64_t, 10> odd_numbers{0,
                                                    1,
                                                    7,
                                                    64,
                                                    4096,
                                                    1u << 20,
                                                    0x7fff'ffff,
                                                    0xffff'ffff,
                                                    ~std::uint64_t{0} >> 1,
                                                    ~std::uint64_t{0}};

/// Runs `act`, which may throw an Error and nothing else.
void survive(const std::function<void()>& act) {
    try {
        act();
    } catch (const mp::Error&) {
    }
}

std::string text(int n) {
    return "a text of some length: " + std::to_string(n);
}

/// A container whose bytes a test can overwrite.
template <class C>
struct Spoiled {
    std::string name = support::unique_name("spoiled");
    C container = C::create(name, 256u << 10);
    support::Bytes bytes{name};

    [[nodiscard]] core::ContainerHeader& header() const {
        return bytes.template root<core::ContainerHeader>();
    }
    [[nodiscard]] std::uint64_t& word_of_table(std::size_t i) const {
        return bytes.template at<std::uint64_t>(header().root.load() + 8 * i);
    }
};

using Texts = Spoiled<mp::List<std::string>>;
using Words = Spoiled<mp::Dict<std::string, std::string>>;

void fill(mp::List<std::string>& list) {
    for (int i = 0; i < 4; ++i)
        list.append(text(i));
}
void fill(mp::Dict<std::string, std::string>& dict) {
    for (int i = 0; i < 4; ++i)
        dict.set(text(i), text(-i));
}

void use(mp::List<std::string>& list) {
    survive([&] { static_cast<void>(list.size()); });
    survive([&] { static_cast<void>(list.copy()); });
    survive([&] { static_cast<void>(list.get(0)); });
    survive([&] { list.append(text(9)); });
    survive([&] { list.set(0, text(8)); });
    survive([&] { list.insert(1, text(7)); });
    survive([&] { list.sort(); });
    survive([&] { list.erase(0); });
    survive([&] { static_cast<void>(list.try_pop()); });
    survive([&] { list.extend({text(1), text(2), text(3), text(4), text(5)}); });
    survive([&] { list.clear(); });
    survive([&] { list.append(text(9)); });
}
void use(mp::Dict<std::string, std::string>& dict) {
    survive([&] { static_cast<void>(dict.size()); });
    survive([&] { static_cast<void>(dict.items()); });
    survive([&] { static_cast<void>(dict.get(text(0))); });
    survive([&] { static_cast<void>(dict.get("none")); });
    survive([&] { dict.set(text(9), text(9)); });
    survive([&] { dict.set(text(0), text(8)); });
    survive([&] { dict.erase(text(1)); });
    survive([&] { static_cast<void>(dict.try_popitem()); });
    survive([&] { dict.update({{text(2), "x"}, {text(20), "y"}}); });
    for (int i = 0; i < 8; ++i)
        survive([&] { dict.set(text(30 + i), "z"); });
    survive([&] { dict.clear(); });
    survive([&] { dict.set(text(9), text(9)); });
}

/// Uses containers in whose header, or table of so many words, one word is an odd number.
template <class Spoilt>
void spoil_each_word(std::size_t words_of_table) {
    constexpr std::size_t words_of_header = sizeof(core::ContainerHeader) / 8;
    for (std::size_t word = 0; word < words_of_header + words_of_table; ++word)
        for (const std::uint64_t odd : odd_numbers) {
            Spoilt spoiled;
            fill(spoiled.container);
            if (word < words_of_header)
                spoiled.bytes.template at<std::uint64_t>(spoiled.bytes.header().root + word * 8) =
                    odd;
            else
                spoiled.word_of_table(word - words_of_header) = odd;
            use(spoiled.container);
        }
}

template <class Act>
void expect_corrupt(Act act) {
    support::expect_error<mp::CorruptSharedMemory>(act, {"overwritten", "process that writes"});
}

} // namespace

// Bytes of a living container that another process overwrites: an exception, or a wrong element,
// but no crash and no hang.
BOOST_AUTO_TEST_SUITE(damaged_containers)

BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_a_list) {
    spoil_each_word<Texts>(8);
}
BOOST_AUTO_TEST_CASE(any_number_in_any_word_of_a_dict) {
    spoil_each_word<Words>(core::DictTable::bytes(5) / 8);
}

BOOST_AUTO_TEST_CASE(sizes_that_cannot_be) {
    Texts list;
    fill(list.container);
    list.word_of_table(1) = 7; // of 6
    expect_corrupt([&] { static_cast<void>(list.container.size()); });
    expect_corrupt([&] { list.container.append("x"); });
    list.word_of_table(0) = 1u << 20;
    expect_corrupt([&] { static_cast<void>(list.container.copy()); });
    list.word_of_table(0) = 6;
    list.word_of_table(1) = 4;
    BOOST_TEST(list.container.at(3) == text(3)); // mended, it works: nothing kept its lock

    Words dict;
    fill(dict.container);
    dict.word_of_table(1) = 6; // of 5
    expect_corrupt([&] { static_cast<void>(dict.container.get("a")); });
    dict.word_of_table(1) = 4;
    BOOST_TEST(dict.container.at(text(3)) == text(-3));
}

BOOST_AUTO_TEST_CASE(elements_that_are_longer_than_their_blocks) {
    Texts spoiled;
    fill(spoiled.container);
    auto& length = spoiled.bytes.at<std::uint64_t>(spoiled.word_of_table(2));
    for (const std::uint64_t odd :
         {std::uint64_t{5000}, std::uint64_t{1} << 40, ~std::uint64_t{0} - 7, ~std::uint64_t{0}}) {
        length = odd;
        expect_corrupt([&] { static_cast<void>(spoiled.container.at(0)); });
        expect_corrupt([&] { static_cast<void>(spoiled.container.copy()); });
        expect_corrupt([&] { spoiled.container.pop(0); });
    }
    BOOST_TEST(spoiled.container.at(1) == text(1));
    length = 3;
    support::expect_error<mp::CorruptSharedMemory>(
        [&] { static_cast<void>(spoiled.container.at(0)); }, {"message"});
}

// Elements that lie at one place, and an element that lies where the list itself does: nothing is
// freed twice, or under somebody.
BOOST_AUTO_TEST_CASE(two_elements_in_one_block) {
    Texts spoiled;
    fill(spoiled.container);
    spoiled.word_of_table(2) = spoiled.word_of_table(3);
    spoiled.word_of_table(4) = spoiled.bytes.header().root;
    spoiled.container.set(0, text(50));
    survive([&] { spoiled.container.set(2, text(51)); });
    survive([&] { static_cast<void>(spoiled.container.at(1)); });
    spoiled.container.clear();
    fill(spoiled.container);
    BOOST_TEST(spoiled.container.at(0) == text(0));
    BOOST_TEST(spoiled.container.size() == 4u);
}

BOOST_AUTO_TEST_CASE(an_index_that_is_garbage) {
    Words spoiled;
    fill(spoiled.container);
    const std::size_t first = (sizeof(core::DictTable) + 5 * sizeof(core::DictEntry)) / 8;
    for (const std::uint64_t garbage :
         {std::uint64_t{0x0000'0001'0000'0001}, ~std::uint64_t{0}, std::uint64_t{0}}) {
        for (std::size_t i = 0; i < core::DictTable::slots(5) * 4 / 8; ++i)
            spoiled.word_of_table(first + i) = garbage;
        survive([&] { static_cast<void>(spoiled.container.get(text(3))); });
        survive([&] { static_cast<void>(spoiled.container.get("none")); });
        BOOST_TEST(spoiled.container.items().size() == 4u);
    }
    use(spoiled.container);
}

// The count of live entries is derived: a table of which it says too little gets a successor that
// has room for all.
BOOST_AUTO_TEST_CASE(a_dict_that_says_it_is_empty) {
    constexpr std::size_t live = 2;
    Words updated;
    fill(updated.container);
    updated.word_of_table(live) = 0;
    std::vector<std::pair<std::string, std::string>> added;
    for (int i = 10; i < 15; ++i)
        added.emplace_back(text(i), text(-i));
    updated.container.update(added);
    BOOST_TEST(updated.container.items().size() == 9u);
    for (const int i : {0, 1, 2, 3, 10, 11, 12, 13, 14})
        BOOST_TEST(updated.container.at(text(i)) == text(-i));
    BOOST_TEST(updated.container.size() == 9u);

    Words grown;
    fill(grown.container);
    grown.container.set(text(4), text(-4)); // full
    grown.word_of_table(live) = 0;
    grown.container.set(text(5), text(-5));
    BOOST_TEST(grown.container.items().size() == 6u);
    for (int i = 0; i < 6; ++i)
        BOOST_TEST(grown.container.at(text(i)) == text(-i));
}

BOOST_AUTO_TEST_CASE(the_type_of_an_attribute) {
    Spoiled<mp::Namespace> spoiled;
    spoiled.container.set("x", 1);
    const std::uint64_t value = spoiled.word_of_table(4 + 2); // of the first entry
    spoiled.bytes.at<std::uint8_t>(value + 8) = 99;
    expect_corrupt([&] { static_cast<void>(spoiled.container.get<int>("x")); });
    expect_corrupt([&] { static_cast<void>(spoiled.container.to_string()); });
    spoiled.container.set("x", 2);
    BOOST_TEST(spoiled.container.get<int>("x") == 2);
}

// The same as a program would do that writes through a wild pointer: many words at once.
BOOST_AUTO_TEST_CASE(random_words_all_over_containers, *boost::unit_test::timeout(120)) {
    std::mt19937_64 random(4711);
    for (int round = 0; round < support::scaled(100); ++round) {
        Texts list;
        Words dict;
        fill(list.container);
        fill(dict.container);
        support::RawChild child([&] {
            const auto spoil = [&](const support::Bytes& bytes, int i) {
                std::uint64_t word = random();
                word = i % 3 == 0 ? word % 8 : i % 3 == 1 ? word % 65536 : word;
                bytes.at<std::uint64_t>(bytes.header().heap_begin + random() % 4096 / 8 * 8) = word;
            };
            for (int i = 0; i < 20; ++i) {
                spoil(list.bytes, i);
                spoil(dict.bytes, i);
                use(list.container);
                use(dict.container);
            }
            return 0;
        });
        BOOST_TEST(child.wait() == 0);
        random.discard(160);
    }
}

BOOST_AUTO_TEST_SUITE_END()
