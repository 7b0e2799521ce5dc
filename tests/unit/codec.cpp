#include <multifork/channel/codec.hpp>

#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace codec_test {

struct Plain {
    int id = 0;
    std::string name;
    std::vector<double> samples;
    bool operator==(const Plain&) const = default;
};
struct Nested {
    Plain plain;
    std::optional<Plain> maybe;
    std::map<std::string, Plain> by_name;
    std::pair<int, std::string> pair;
    bool operator==(const Nested&) const = default;
};
class Own {
public:
    Own() = default;
    explicit Own(std::string text) : text_(std::move(text)) {}
    bool operator==(const Own&) const = default;

private:
    friend class cereal::access;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text_);
    }
    std::string text_;
};
class External {
public:
    std::string text;
    External() = default;
    explicit External(std::string t) : text(std::move(t)) {}
    bool operator==(const External&) const = default;
};
template <class Archive>
void serialize(Archive& archive, External& external) {
    archive(external.text);
}
/// An aggregate that names the archives themselves.
struct Signed {
    int number = 0;
    std::string text;
    void save(mp::ByteWriter& writer) const { writer(text, number + 1); }
    void load(mp::ByteReader& reader) {
        reader(text, number);
        --number;
    }
    bool operator==(const Signed&) const = default;
};
/// Trivially copyable, and no aggregate.
class Money {
public:
    Money() = default;
    explicit Money(std::int64_t cents) : cents_(cents) {}
    bool operator==(const Money&) const = default;

private:
    std::int64_t cents_ = 0;
};
__extension__ typedef __int128 Int128;
struct Cannot {
    Cannot() = default;
    Cannot(Cannot&&) = default;
    Cannot& operator=(Cannot&&) = default;
    ~Cannot() {}
    std::unique_ptr<std::mutex> mutex;
};
struct NoDefault {
    explicit NoDefault(std::string t) : text(std::move(t)) {}
    std::string text;
};

} // namespace codec_test

namespace {

using namespace codec_test;

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
    std::vector<std::byte> bytes;
    mp::encode(value, bytes);
    return bytes;
}

template <class T>
bool comes_back(const T& value) {
    return mp::decode<T>(bytes_of(value)) == value;
}

} // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(what_can_travel_is_known_at_compile_time) {
    static_assert(mp::Codable<int> && mp::Shareable<int>);
    static_assert(mp::Codable<std::string> && !mp::Shareable<std::string>);
    static_assert(mp::Codable<std::vector<std::map<int, std::string>>>);
    static_assert(mp::Codable<Plain> && mp::Codable<Nested> && mp::Codable<Own>);
    static_assert(mp::Codable<External> && mp::Codable<std::vector<External>>);
    static_assert(mp::Codable<std::unique_ptr<int>> && mp::Codable<std::shared_ptr<std::string>>);
    static_assert(!mp::Codable<int*> && !mp::Codable<const char*> && !mp::Codable<int&>);
    static_assert(!mp::Codable<std::mutex> && !mp::Codable<Cannot>);
    static_assert(!mp::Codable<NoDefault>);
    static_assert(!mp::Codable<void (*)()>);
    BOOST_TEST(true);
}

BOOST_AUTO_TEST_CASE(standard_types_come_back) {
    using namespace std::chrono_literals;
    BOOST_TEST(comes_back(std::string("hello")));
    BOOST_TEST(comes_back(std::string()));
    BOOST_TEST(comes_back(std::u32string(U"\u00e9t\u00e9")));
    BOOST_TEST(comes_back(std::vector<int>{1, 2, 3}));
    BOOST_TEST(comes_back(std::vector<std::string>{"", "a", std::string(1000, 'b')}));
    BOOST_TEST(comes_back(std::deque<std::string>{"x", "y"}));
    BOOST_TEST(comes_back(std::set<std::string>{"x", "y"}));
    BOOST_TEST(comes_back(std::array<std::string, 2>{"x", "y"}));
    BOOST_TEST(comes_back(std::unordered_map<std::string, int>{{"x", 1}, {"y", 2}}));
    BOOST_TEST(comes_back(std::map<int, std::vector<std::string>>{{1, {"a"}}, {2, {}}}));
    BOOST_TEST(comes_back(std::optional<std::string>{}));
    BOOST_TEST(comes_back(std::optional<std::string>{"there"}));
    BOOST_TEST(comes_back(std::tuple<int, std::string, std::vector<char>>{1, "a", {'b'}}));
    BOOST_TEST(comes_back(std::variant<int, std::string>{"text"}));
    BOOST_TEST(comes_back(std::pair<std::string, std::chrono::nanoseconds>{"t", 5ns}));
    BOOST_TEST(comes_back(std::vector<bool>{true, false, true}));
}

BOOST_AUTO_TEST_CASE(plain_structs_need_nothing) {
    const Plain plain{7, "seven", {1.5, 2.5}};
    BOOST_TEST(comes_back(plain));
    BOOST_TEST(comes_back(std::vector<Plain>{plain, {}, plain}));
    BOOST_TEST(comes_back(Nested{plain, plain, {{"a", plain}, {"b", {}}}, {1, "p"}}));
    BOOST_TEST(comes_back(Nested{}));
}

BOOST_AUTO_TEST_CASE(bytes_are_bytes_inside_of_other_types_too) {
    const Int128 large = static_cast<Int128>(333'333'283'333'335) * 1'000'000;
    BOOST_TEST(comes_back(large));
    BOOST_TEST(comes_back(std::pair<std::string, Int128>{"first", -large}));
    BOOST_TEST(comes_back(std::vector<std::optional<Int128>>{large, {}, large * 1000}));
    BOOST_TEST(comes_back(std::map<std::string, Money>{{"a", Money(5)}, {"b", Money(-7)}}));
    BOOST_TEST(comes_back(std::tuple<std::string, Money>{"c", Money(9)}));
    const std::vector<std::byte> bytes = bytes_of(std::pair<std::string, Int128>{"", 1});
    BOOST_TEST(bytes.size() == 8 + sizeof(Int128));
    BOOST_CHECK_THROW((static_cast<void>(mp::decode<std::pair<std::string, Int128>>(
                          std::span(bytes).first(bytes.size() - 1)))),
                      mp::CorruptSharedMemory);
}

BOOST_AUTO_TEST_CASE(types_with_a_serialize_of_their_own) {
    BOOST_TEST(comes_back(Signed{7, "seven"}));
    BOOST_TEST(comes_back(Own("private")));
    BOOST_TEST(comes_back(External("outside")));
    BOOST_TEST(comes_back(std::map<std::string, Own>{{"k", Own("v")}}));
    BOOST_TEST(comes_back(std::optional<External>(External("e"))));
}

BOOST_AUTO_TEST_CASE(pointers_carry_what_they_own) {
    const auto unique = std::make_unique<std::string>("owned");
    BOOST_TEST(*mp::decode<std::unique_ptr<std::string>>(bytes_of(unique)) == "owned");
    const auto shared = std::make_shared<Plain>(Plain{1, "one", {}});
    const std::vector<std::shared_ptr<Plain>> twice{shared, shared};
    const auto back = mp::decode<std::vector<std::shared_ptr<Plain>>>(bytes_of(twice));
    BOOST_TEST((*back[0] == *shared));
    BOOST_TEST((back[0] == back[1])); // still one object
}

BOOST_AUTO_TEST_CASE(every_cut_message_is_an_error_and_no_fault) {
    const Nested whole{{7, "seven", {1.5, 2.5}}, Plain{8, "eight", {}}, {{"a", {}}}, {1, "p"}};
    const std::vector<std::byte> bytes = bytes_of(whole);
    for (std::size_t length = 0; length < bytes.size(); ++length)
        BOOST_CHECK_THROW(static_cast<void>(mp::decode<Nested>(std::span(bytes).first(length))),
                          mp::CorruptSharedMemory);
}

BOOST_AUTO_TEST_CASE(a_wrong_length_is_an_error_and_no_allocation) {
    std::vector<std::byte> bytes(8, std::byte{0xFF}); // announces 2^64-1 elements
    support::expect_error<mp::CorruptSharedMemory>(
        [&] { static_cast<void>(mp::decode<std::string>(bytes)); }, {"elements"});
    support::expect_error<mp::CorruptSharedMemory>(
        [&] { static_cast<void>(mp::decode<std::vector<std::string>>(bytes)); }, {"elements"});
    bytes[7] = std::byte{0};
    BOOST_CHECK_THROW(static_cast<void>(mp::decode<std::vector<int>>(bytes)),
                      mp::CorruptSharedMemory);
}

// What the reader would refuse is not written.
BOOST_AUTO_TEST_CASE(elements_without_bytes_are_counted_up_to_a_limit) {
    using Nothings = std::vector<std::monostate>;
    constexpr std::size_t most = 1u << 20;
    std::vector<std::byte> bytes;
    mp::encode(Nothings(most), bytes);
    BOOST_TEST(mp::decode<Nothings>(bytes).size() == most);
    for (const std::size_t more : {most + 1, most + 100}) {
        bytes.clear();
        support::expect_error<mp::InvalidArgument>([&] { mp::encode(Nothings(more), bytes); },
                                                   {"2^20"});
        bytes.clear();
        // But for what has bytes enough, wherever they are.
        mp::encode(std::pair(Nothings(more), std::string(more, 'x')), bytes);
        BOOST_TEST((mp::decode<std::pair<Nothings, std::string>>(bytes).first.size() == more));
        bytes.clear();
        mp::encode(std::vector<bool>(more, true), bytes);
        BOOST_TEST(mp::decode<std::vector<bool>>(bytes).size() == more);
    }
}

BOOST_AUTO_TEST_CASE(random_bytes_never_fault) {
    std::uint32_t random = 12345;
    for (int round = 0; round < 2'000; ++round) {
        std::vector<std::byte> bytes(static_cast<std::size_t>(round % 200));
        for (std::byte& byte : bytes) {
            random = random * 1664525 + 1013904223;
            // Small numbers, so that lengths are often plausible.
            byte = static_cast<std::byte>((random >> 24) % 4 == 0 ? random >> 16 & 7 : 0);
        }
        try {
            static_cast<void>(mp::decode<Nested>(bytes));
        } catch (const std::exception&) {
        }
    }
    BOOST_TEST(true);
}

BOOST_AUTO_TEST_SUITE_END()
