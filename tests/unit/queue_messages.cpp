#include <multifork/channel/queue.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

std::string text_of(std::size_t length, char seed) {
    std::string text(length, seed);
    for (std::size_t i = 0; i < length; i += 1000)
        text[i] = static_cast<char>('a' + i / 1000 % 26);
    return text;
}

std::uint64_t blocks_used() {
    return mp::arena::arena_usage().blocks_used;
}

/// Throws in the middle of being written, or of being read.
struct Moody {
    std::vector<int> before;
    bool write_throws = false;
    bool read_throws = false;
    std::vector<int> after;

    template <class Archive>
    void save(Archive& archive) const {
        archive(before);
        if (write_throws)
            throw std::runtime_error("cannot be written");
        archive(read_throws, after);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(before, read_throws);
        if (read_throws)
            throw std::runtime_error("cannot be read");
        archive(after);
    }
};

/// Its vector member copies elements when it is put.
struct Grumpy {
    Grumpy() = default;
    explicit Grumpy(int n) : number(n) {}
    Grumpy(const Grumpy& other) : number(other.number) {
        if (number < 0)
            throw std::runtime_error("cannot be copied");
    }
    Grumpy(Grumpy&&) noexcept = default;
    Grumpy& operator=(const Grumpy&) = default;
    Grumpy& operator=(Grumpy&&) noexcept = default;
    int number = 0;

    template <class Archive>
    void save(Archive& archive) const {
        const Grumpy copy(*this);
        archive(copy.number);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(number);
    }
};

/// Puts into another queue while it is written and while it is read.
struct Logged {
    std::string text;

    static mp::Queue<std::string>& log() {
        static mp::Queue<std::string> the_log{16};
        return the_log;
    }
    template <class Archive>
    void save(Archive& archive) const {
        log().put("write " + std::string(500, 'w'));
        archive(text);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(text);
        log().put("read");
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(queue_messages)

BOOST_AUTO_TEST_CASE(strings_of_every_length_around_the_slot) {
    mp::Queue<std::string> queue{2};
    for (std::size_t length = 0; length <= 300; ++length) {
        const std::string text = text_of(length, 'x');
        queue.put(text);
        BOOST_TEST(queue.get() == text);
    }
}

BOOST_AUTO_TEST_CASE(empty_strings_are_elements) {
    mp::Queue<std::string> queue{3};
    queue.put("");
    queue.put("");
    BOOST_TEST(queue.size() == 2U);
    BOOST_TEST(queue.get().empty());
    BOOST_TEST(queue.try_get().value().empty());
    BOOST_TEST(!queue.try_get().has_value());
}

BOOST_AUTO_TEST_CASE(strings_with_zero_bytes) {
    mp::Queue<std::string> queue{1};
    const std::string text{"a\0b\0", 4};
    queue.put(text);
    BOOST_TEST(queue.get() == text);
}

BOOST_AUTO_TEST_CASE(large_messages_come_whole_and_give_their_memory_back) {
    mp::Queue<std::string> queue{2};
    const std::uint64_t blocks = blocks_used();
    for (const std::size_t length : {std::size_t{1} << 20, std::size_t{50} << 20}) {
        const std::string text = text_of(length, 'y');
        queue.put(text);
        BOOST_TEST(blocks_used() == blocks + 1);
        BOOST_TEST((queue.get() == text));
        BOOST_TEST(blocks_used() == blocks);
    }
}

BOOST_AUTO_TEST_CASE(the_same_memory_serves_one_message_after_the_other) {
    mp::Queue<std::string> queue{2};
    const std::string text = text_of(3'000'000, 'z');
    queue.put(text);
    static_cast<void>(queue.get());
    const std::uint64_t carved = mp::arena::arena_usage().bytes_carved;
    for (int i = 0; i < 200; ++i) {
        queue.put(text);
        BOOST_REQUIRE((queue.get() == text));
    }
    BOOST_TEST(mp::arena::arena_usage().bytes_carved == carved);
}

BOOST_AUTO_TEST_CASE(a_dropped_queue_frees_its_undelivered_messages) {
    const std::uint64_t blocks = blocks_used();
    {
        mp::Queue<std::string> queue{4};
        for (int i = 0; i < 4; ++i)
            queue.put(text_of(100'000, 'q'));
        BOOST_TEST(blocks_used() == blocks + 5);
    }
    BOOST_TEST(blocks_used() == blocks);
}

BOOST_AUTO_TEST_CASE(containers_of_many_kinds) {
    using Map = std::map<std::string, std::vector<std::optional<int>>>;
    mp::Queue<Map> maps{1};
    const Map map{{"", {}}, {"one", {1, std::nullopt, 3}}, {"long", {500, 7}}};
    maps.put(map);
    BOOST_TEST((maps.get() == map));

    using Row = std::tuple<int, std::string, double>;
    mp::Queue<Row> rows{1};
    rows.put({1, "two", 3.5});
    BOOST_TEST((rows.get() == Row{1, "two", 3.5}));

    using Any = std::variant<int, std::string, std::vector<double>>;
    mp::Queue<Any> anys{3};
    anys.put(5);
    anys.put("text");
    anys.put(std::vector<double>{1, 2});
    BOOST_TEST((anys.get() == Any{5}));
    BOOST_TEST((anys.get() == Any{"text"}));
    BOOST_TEST((anys.get() == Any{std::vector<double>{1, 2}}));

    mp::Queue<std::optional<std::string>> maybes{2};
    maybes.put(std::nullopt);
    maybes.put("there");
    BOOST_TEST(!maybes.get().has_value());
    BOOST_TEST(maybes.get().value() == "there");

    mp::Queue<std::vector<bool>> bits{1};
    bits.put({true, false, true});
    BOOST_TEST((bits.get() == std::vector<bool>{true, false, true}));
}

BOOST_AUTO_TEST_CASE(move_only_elements) {
    mp::Queue<std::unique_ptr<std::string>> queue{2};
    queue.put(std::make_unique<std::string>("moved"));
    queue.put(nullptr);
    BOOST_TEST(*queue.get() == "moved");
    BOOST_TEST((queue.get() == nullptr));
}

BOOST_AUTO_TEST_CASE(large_and_small_messages_mixed_between_threads) {
    mp::Queue<std::vector<std::uint32_t>> queue{4};
    const std::uint64_t blocks = blocks_used();
    const auto rounds = static_cast<std::uint32_t>(support::scaled(3'000));
    std::vector<std::thread> producers;
    for (int p = 0; p < 2; ++p)
        producers.emplace_back([&] {
            for (std::uint32_t i = 0; i < rounds; ++i) {
                std::vector<std::uint32_t> message(i % 7 == 0 ? 5'000 : i % 20);
                std::iota(message.begin(), message.end(), i);
                queue.put(message);
            }
        });
    std::atomic<std::uint32_t> count{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> consumers;
    for (int c = 0; c < 2; ++c)
        consumers.emplace_back([&] {
            for (const std::vector<std::uint32_t>& message : queue) {
                ++count;
                for (std::size_t i = 1; i < message.size(); ++i)
                    wrong += message[i] != message[i - 1] + 1;
            }
        });
    for (std::thread& thread : producers)
        thread.join();
    queue.close();
    for (std::thread& thread : consumers)
        thread.join();
    BOOST_TEST(count == 2 * rounds);
    BOOST_TEST(wrong == 0);
    BOOST_TEST(blocks_used() == blocks);
}

BOOST_AUTO_TEST_CASE(a_serialiser_that_throws_in_put_leaves_the_queue_as_it_was) {
    mp::Queue<Moody> queue{1};
    const std::uint64_t blocks = blocks_used();
    Moody bad;
    bad.before.assign(10'000, 1);
    bad.write_throws = true;
    for (int i = 0; i < 5; ++i) // a slot that did not come back would fill this queue at once
        BOOST_CHECK_THROW(queue.put(bad), std::runtime_error);
    BOOST_TEST(queue.empty());
    BOOST_TEST(blocks_used() == blocks);
    Moody good;
    good.after = {1, 2, 3};
    BOOST_TEST(queue.try_put(good));
    BOOST_TEST((queue.get().after == std::vector<int>{1, 2, 3}));
}

BOOST_AUTO_TEST_CASE(a_copy_constructor_that_throws_in_put_leaves_the_queue_as_it_was) {
    mp::Queue<std::vector<Grumpy>> queue{1};
    std::vector<Grumpy> bad(3);
    bad[2].number = -1;
    for (int i = 0; i < 5; ++i)
        BOOST_CHECK_THROW(queue.put(bad), std::runtime_error);
    BOOST_TEST(queue.empty());
    bad[2].number = 1;
    BOOST_TEST(queue.try_put(bad));
    BOOST_TEST(queue.get()[2].number == 1);
}

BOOST_AUTO_TEST_CASE(a_serialiser_that_throws_in_get_takes_that_element_alone) {
    mp::Queue<Moody> queue{2};
    const std::uint64_t blocks = blocks_used();
    Moody bad;
    bad.before.assign(10'000, 1);
    bad.read_throws = true;
    queue.put(bad);
    queue.put(Moody{{4}, false, false, {5}});
    BOOST_CHECK_THROW(static_cast<void>(queue.get()), std::runtime_error);
    BOOST_TEST(blocks_used() == blocks);
    BOOST_TEST((queue.get().after == std::vector<int>{5}));
}

BOOST_AUTO_TEST_CASE(a_serialiser_may_itself_use_queues) {
    mp::Queue<Logged> queue{2};
    queue.put(Logged{"inner"});
    BOOST_TEST(queue.get().text == "inner");
    BOOST_TEST(Logged::log().get().size() == 506U);
    BOOST_TEST(Logged::log().get() == "read");
}

BOOST_AUTO_TEST_SUITE_END()
