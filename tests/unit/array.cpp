#include <multifork/channel/array.hpp>
#include <multifork/channel/copy.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/raw_value.hpp>
#include <multifork/sync/barrier.hpp>

#include "support/changing_range.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

struct Sample {
    double x = 0;
    double y = 0;
    int label = 0;
    bool operator==(const Sample&) const = default;
};
struct Rgb {
    std::uint8_t red, green, blue;
    bool operator==(const Rgb&) const = default;
};
struct Pair { // stored at once, though less aligned than long
    int a, b;
    bool operator==(const Pair&) const = default;
};

template <class T>
std::vector<T> elements(const mp::Array<T>& array) {
    return array.to_vector();
}

template <class T>
void keeps(const std::vector<T>& values) {
    const mp::Array<T> array(values);
    BOOST_TEST((array.to_vector() == values));
    const mp::RawArray<T> raw(values);
    BOOST_TEST((raw.to_vector() == values));
    if constexpr (!std::is_same_v<T, bool>)
        BOOST_TEST(std::ranges::equal(array.view(), values));
}

} // namespace

BOOST_AUTO_TEST_SUITE(array)

BOOST_AUTO_TEST_CASE(new_elements_are_zero) {
    const mp::Array<int> array{10};
    BOOST_TEST(array.size() == 10u);
    BOOST_TEST(array.max_size() == 10u);
    BOOST_TEST((array.to_vector() == std::vector<int>(10)));
    BOOST_TEST(mp::Array<double>{0}.empty());
    BOOST_TEST(mp::RawArray<int>{0}.size() == 0u);
}

BOOST_AUTO_TEST_CASE(elements_of_every_shape_are_kept) {
    keeps<int>({1, -2, 3});
    keeps<char>({'a', 'b'});
    keeps<bool>({true, false, true});
    keeps<std::int64_t>({1LL << 40, -1});
    keeps<double>({0.5, -0.25});
    keeps<Sample>({{1, 2, 3}, {4, 5, 6}});
    keeps<Rgb>({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
    keeps<Pair>({{1, 2}, {3, 4}});
    keeps<std::array<std::int16_t, 5>>({{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}});
}

BOOST_AUTO_TEST_CASE(elements_read_like_values) {
    auto array = mp::Array<int>::of({10, 20, 30});
    array[1] = 5;
    array[1] += 2;
    ++array[1];
    array[0] = array[1];
    BOOST_TEST(array[0] == 8);
    BOOST_TEST(array.at(2).get() == 30);
    BOOST_TEST(array[2].fetch_add(3) == 30);
    BOOST_TEST(array[2].load() == 33);
    int expected = 33;
    BOOST_TEST(array[2].compare_exchange(expected, 1));
    BOOST_TEST(array[2].exchange(7) == 1);
    auto pairs = mp::Array<Pair>::of({{1, 2}});
    BOOST_TEST((pairs[0].exchange({3, 4}) == Pair{1, 2}));
    BOOST_TEST((pairs.view()[0] == Pair{3, 4}));
}

BOOST_AUTO_TEST_CASE(views_are_for_any_algorithm) {
    auto array = mp::Array<int>::of({3, 1, 2});
    std::ranges::sort(array.view());
    BOOST_TEST((array.to_vector() == std::vector<int>{1, 2, 3}));
    BOOST_TEST(std::accumulate(array.begin(), array.end(), 0) == 6);
    for (int& element : array)
        element *= 10;
    BOOST_TEST(array[2] == 30);
}

BOOST_AUTO_TEST_CASE(slices_are_copies_and_assignments_are_whole) {
    auto array = mp::Array<int>::of({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    BOOST_TEST((array.slice(2, 5) == std::vector<int>{2, 3, 4}));
    BOOST_TEST(array.slice(10, 10).empty());
    array.assign(4, {1, 2, 3, 4});
    BOOST_TEST((array.to_vector() == std::vector<int>{0, 1, 2, 3, 1, 2, 3, 4, 8, 9}));
    array.fill(7);
    BOOST_TEST((array.to_vector() == std::vector<int>(10, 7)));
    support::expect_error<mp::InvalidArgument>([&] { array.assign(8, {1, 2, 3}); }, {"8", "10"});
    BOOST_TEST((array.to_vector() == std::vector<int>(10, 7)));
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(array.slice(5, 4)); },
                                               {"5", "4"});
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(array.slice(0, 11)); },
                                               {"11"});
}

// The end of an Array that another process resizes is further away when one looks again.
BOOST_AUTO_TEST_CASE(no_more_is_written_than_there_is_room_for) {
    // A new one each time: it is the second question that gets another answer.
    const auto growing = [] { return support::ChangingRange{3, 8}; };
    // All that is set aside for it, whatever its size says.
    const auto memory_of = [](const mp::Array<int>& array) {
        return std::vector<int>(array.data(), array.data() + array.max_size());
    };
    const mp::Array<int> array{4, {.max_size = 8}};
    array.assign(1, growing());
    BOOST_TEST((memory_of(array) == std::vector<int>{0, 1, 1, 1, 0, 0, 0, 0}));
    const mp::Array<int> made{growing(), {.max_size = 8}};
    BOOST_TEST(made.size() == 3u);
    BOOST_TEST((memory_of(made) == std::vector<int>{1, 1, 1, 0, 0, 0, 0, 0}));
    BOOST_TEST(mp::RawArray<int>(growing()).size() == 3u);
}

BOOST_AUTO_TEST_CASE(at_is_checked) {
    mp::Array<int> array{3};
    array.at(2) = 1;
    support::expect_error<mp::InvalidArgument>([&] { array.at(3) = 1; }, {"at(3)", "3 elements"});
    support::expect_error<mp::InvalidArgument>([&] { array.at(std::size_t(-1)) = 1; }, {"at("});
    mp::RawArray<int> raw{3};
    support::expect_error<mp::InvalidArgument>([&] { raw.at(3) = 1; }, {"at(3)"});
}

BOOST_AUTO_TEST_CASE(absurd_sizes_are_refused) {
    constexpr auto huge = std::numeric_limits<std::size_t>::max();
    support::expect_error<mp::InvalidArgument>([&] { mp::Array<int> a(huge); }, {"negative"});
    support::expect_error<mp::InvalidArgument>([&] { mp::RawArray<Sample> a(huge / 8); },
                                               {"negative"});
    support::expect_error<mp::InvalidArgument>([&] { mp::Array<int> a(1, {.max_size = huge}); },
                                               {"negative"});
}

BOOST_AUTO_TEST_CASE(resizing_moves_nobodys_view) {
    mp::Array<int> array{2, {.max_size = 1000}};
    array.fill(1);
    const auto view = array.view();
    array.resize(1000, 9);
    BOOST_TEST(array.size() == 1000u);
    BOOST_TEST(array[1] == 1);
    BOOST_TEST(array[2] == 9);
    BOOST_TEST(array[999] == 9);
    view[0] = 5;
    BOOST_TEST(array[0] == 5);
    BOOST_TEST((static_cast<void*>(view.data()) == static_cast<void*>(array.data())));
    array.resize(1);
    BOOST_TEST(array.size() == 1u);
    array.resize(3);
    BOOST_TEST((array.to_vector() == std::vector<int>{5, 0, 0}), "what was cut off is not back");
    support::expect_error<mp::InvalidArgument>([&] { array.resize(1001); }, {"1001", "max_size"});
    BOOST_TEST(array.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_child_grows_the_array_and_the_parent_sees_it) {
    mp::Array<int> array{1, {.max_size = 100'000}};
    support::run_in_child([&] {
        array.resize(100'000, 3);
        array[99'999] = 4;
    });
    BOOST_TEST(array.size() == 100'000u);
    BOOST_TEST(array[50'000] == 3);
    BOOST_TEST(array[99'999] == 4);
}

BOOST_AUTO_TEST_CASE(the_lock_keeps_increments) {
    mp::Array<int> array{2};
    const int rounds = support::scaled(20'000);
    mp::Barrier start{2};
    const auto work = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < rounds; ++i) {
            const std::scoped_lock hold(array.get_lock());
            const int before = array[1];
            if (i % 64 == 0)
                std::this_thread::yield();
            array[1] = before + 1;
        }
    };
    mp::Process other(work);
    other.start();
    work();
    support::expect_exit(other);
    BOOST_TEST(array[1] == 2 * rounds);
}

BOOST_AUTO_TEST_CASE(who_holds_the_lock_may_use_what_takes_it) {
    mp::Array<int> array{2, {.max_size = 4}};
    const std::scoped_lock hold(array.get_lock());
    array.fill(3);
    array.resize(3);
    BOOST_TEST((array.slice(0, 3) == std::vector<int>{3, 3, 0}));
    BOOST_TEST(array.get_lock().owner().has_value(), "the lock was given up too early");
}

BOOST_AUTO_TEST_CASE(a_dead_holder_of_the_lock_is_reported) {
    mp::Array<int> array{2};
    std::thread([&] { array.get_lock().lock(); }).join();
    support::expect_error<mp::OwnerDied>([&] { array.fill(1); }, {"recover()"});
    BOOST_TEST(array.get_lock().recover([&] { array.fill(0); }));
    array.fill(1);
    BOOST_TEST(array[1] == 1);
}

BOOST_AUTO_TEST_CASE(a_handle_that_was_moved_from_keeps_what_it_uses) {
    mp::Array<int> array{2};
    mp::Value<int> value{1};
    mp::Lock lock;
    mp::Queue<int> queue{1};
    {
        const auto a = std::move(array);
        const auto v = std::move(value);
        const auto l = std::move(lock);
        const auto q = std::move(queue);
    }
    // What had their memory now would be overwritten.
    const std::vector<mp::Array<std::uint64_t>> others(20, mp::copy(mp::Array<std::uint64_t>{20}));
    array.fill(7);  // NOLINT(bugprone-use-after-move)
    value.store(7); // NOLINT(bugprone-use-after-move)
    lock.lock();    // NOLINT(bugprone-use-after-move)
    queue.put(7);   // NOLINT(bugprone-use-after-move)
    for (const auto& other : others)
        BOOST_TEST((other.to_vector() == std::vector<std::uint64_t>(20, 0)));
    BOOST_TEST(array[1] == 7);
    BOOST_TEST(lock.to_string().find("held") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(copies_of_the_handle_are_the_same_array_and_copy_is_another) {
    auto array = mp::Array<int>::of({1, 2}, {.max_size = 5});
    auto same = array;
    const auto other = mp::copy(array);
    same[0] = 9;
    BOOST_TEST(array[0] == 9);
    BOOST_TEST(other[0] == 1);
    BOOST_TEST(other.max_size() == 5u);
    const mp::RawArray<int> raw(array.view());
    const auto raw_copy = mp::copy(raw);
    raw[1] = 7;
    BOOST_TEST(raw_copy[1] == 2);
    const mp::RawValue<Sample> value({1, 2, 3});
    const auto value_copy = mp::copy(value);
    value.value() = Sample{};
    BOOST_TEST((value_copy.value().get() == Sample{1, 2, 3}));
}

BOOST_AUTO_TEST_CASE(raw_values) {
    mp::RawValue<int> number{4};
    support::run_in_child([&] {
        number.value() += 1;
        number.value().fetch_add(2);
    });
    BOOST_TEST(number.value() == 7);
}

BOOST_AUTO_TEST_CASE(named_arrays) {
    auto made = mp::Array<int>::create(support::own_name("array"), 3, {.max_size = 30});
    made.fill(4);
    support::run_in_child([] {
        auto array = mp::Array<int>::open(support::own_name("array"));
        support::demand(array.size() == 3 && array.max_size() == 30);
        array.resize(20, 5);
    });
    BOOST_TEST(made.size() == 20u);
    BOOST_TEST(made[19] == 5);
    BOOST_TEST(mp::Array<int>::open_or_create(support::own_name("array"), 1).size() == 20u);
    using Other = mp::Array<double>;
    support::expect_error<mp::LayoutMismatch>([] { Other::open(support::own_name("array")); },
                                              {support::own_name("array")});
    support::expect_error<mp::LayoutMismatch>(
        [] { mp::RawArray<int>::open(support::own_name("array")); }, {support::own_name("array")});
    support::expect_error<mp::NotFound>(
        [] { mp::Array<int>::open(support::own_name("array-none")); }, {"none"});
    auto raw = mp::RawArray<int>::create(support::own_name("raw-array"), 5);
    raw[4] = 6;
    BOOST_TEST(mp::RawArray<int>::open(support::own_name("raw-array")).at(4) == 6);
    auto value = mp::RawValue<int>::create(support::own_name("raw-value"), 6);
    BOOST_TEST(mp::RawValue<int>::open(support::own_name("raw-value")).value() == 6);
}

BOOST_AUTO_TEST_CASE(an_overwritten_size_reaches_nobody_elses_memory) {
    mp::Array<int> array{4};
    auto* const header = reinterpret_cast<mp::detail::ArrayHeader*>(array.data()) - 1;
    header->size = ~std::uint64_t{0};
    BOOST_TEST(array.size() == 4u);
}

BOOST_AUTO_TEST_CASE(arrays_print) {
    BOOST_TEST(fmt::format("{}", mp::Array<int>{3, {.max_size = 5}}) == "<Array 3/5>");
    BOOST_TEST(fmt::format("{}", mp::RawArray<int>{3}) == "<RawArray 3>");
    BOOST_TEST(fmt::format("{}", mp::RawValue<int>{3}) == "<RawValue 3>");
}

BOOST_AUTO_TEST_SUITE_END()
