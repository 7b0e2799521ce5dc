#include <multifork/pool/bind_front.hpp>
#include <multifork/pool/executor.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/thread_pool.hpp>

#include "support/holes.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

// What a task can be given: text by a pointer, as a Process; and functions in odd shapes.

namespace mp = multifork;
namespace support = multifork::test;

namespace {

std::size_t length(const std::string& text) {
    return text.size();
}
std::string said(const char* text) {
    return text == nullptr ? "nothing" : text;
}
int seven() {
    return 7;
}
double weigh(char kind, double grams, bool twice, std::int64_t times) noexcept {
    return grams * static_cast<double>(times) * (twice ? 2 : 1) + kind;
}

struct Parcel {
    char kind;
    double grams;
    bool heavy;
};

template <std::size_t size>
struct Numbers {
    std::array<std::uint8_t, size> all;
    [[nodiscard]] int sum() const { return std::accumulate(all.begin(), all.end(), 0); }
};
template <std::size_t size>
int sum_of(const Numbers<size>& numbers) {
    return numbers.sum();
}
template <std::size_t size>
void check_sum_of_so_many(mp::Pool& pool) {
    Numbers<size> numbers{};
    std::iota(numbers.all.begin(), numbers.all.end(), std::uint8_t{1});
    BOOST_TEST(pool.apply(sum_of<size>, numbers) == numbers.sum());
    BOOST_TEST(pool.apply([numbers](int more) { return numbers.sum() + more; }, 5) ==
               numbers.sum() + 5);
}

/// When the pool has it somebody asks whether the closure can be assigned, as std::optional and a
/// ThreadPool do. For one of a function template that changes what g++ 12 says of its bytes.
template <class T>
int sum_of_a_closure_that_changes(mp::Pool& pool, T start) {
    auto f = [sum = start](T x) mutable { return sum += x; };
    const int first = pool.apply(f, T{2});
    mp::ThreadPool threads{1};
    std::optional<decltype(f)> kept(f);
    return first + threads.apply(f, T{2}) + (*kept)(3);
}

} // namespace

BOOST_AUTO_TEST_SUITE(pool_arguments)

MULTIFORK_EACH_START_METHOD(text_may_be_given_by_a_pointer) {
    mp::Pool pool{context, 1};
    BOOST_TEST(pool.apply(length, "four") == 4u);
    BOOST_TEST(pool.apply(said, "a literal") == "a literal");
    std::string own = "of this process alone";
    auto future = pool.submit(said, own.c_str());
    own.assign(100, 'x'); // the text was taken when it was submitted
    BOOST_TEST(future.get() == "of this process alone");
    const char* const none = nullptr;
    BOOST_TEST(pool.apply(said, none) == "nothing");
    BOOST_TEST(pool.apply([](const char* a, int n) { return a[n]; }, "abc", 1) == 'b');
}

MULTIFORK_EACH_START_METHOD(text_may_be_bound_by_a_pointer) {
    mp::Pool pool{context, 1};
    const auto letter = [](const char* text, int n) { return text[n]; };
    std::string own = "of this process alone";
    auto bound = mp::bind_front(letter, own.c_str());
    own.assign(100, 'x'); // the text was taken when it was bound
    BOOST_TEST(pool.apply(bound, 3) == 't');
    BOOST_TEST(pool.map(bound, std::vector{0, 1}) == (std::vector{'o', 'f'}),
               boost::test_tools::per_element());
    BOOST_TEST(bound(0) == 'o'); // here as well
    BOOST_TEST(pool.apply(mp::bind_front(length, "four")) == 4u);
    const char* const none = nullptr;
    BOOST_TEST(pool.apply(mp::bind_front(said, none)) == "nothing");
}

BOOST_AUTO_TEST_CASE(an_executor_takes_text_by_a_pointer) {
    mp::ProcessPoolExecutor processes{1};
    BOOST_TEST(processes.submit(said, "text").get() == "text");
    mp::ThreadPoolExecutor threads{1};
    BOOST_TEST(threads.submit(said, "text").get() == "text");
}

MULTIFORK_EACH_START_METHOD(a_function_bound_to_nothing_is_no_captured_address) {
    mp::Pool pool{context, 1};
    BOOST_TEST(pool.apply(mp::bind_front(seven)) == 7);
    BOOST_TEST(pool.apply(mp::bind_front(mp::bind_front(seven))) == 7);
    int here = 1; // but a closure in it that has captured one is refused
    BOOST_CHECK_THROW(static_cast<void>(pool.submit(mp::bind_front([&here] { return here; }))),
                      mp::NotShareable);
}

BOOST_AUTO_TEST_CASE(a_closure_of_a_function_template_may_change_itself) {
    mp::Pool pool{1};
    BOOST_TEST(sum_of_a_closure_that_changes(pool, 1) == 3 + 3 + 4);
}

MULTIFORK_EACH_START_METHOD(plain_values_come_as_they_were_given) {
    mp::Pool pool{context, 1};
    BOOST_TEST(pool.apply(weigh, 'a', 0.5, true, std::int64_t{1} << 40) == 0x1p40 + 'a');
    const auto more = [kind = 'b', grams = 2.5](Parcel parcel, double by) {
        return Parcel{kind, grams + parcel.grams * by, !parcel.heavy};
    };
    const Parcel parcel = pool.apply(more, Parcel{'a', 4.0, false}, 0.25);
    BOOST_TEST(parcel.kind == 'b');
    BOOST_TEST(parcel.grams == 3.5);
    BOOST_TEST(parcel.heavy);
    BOOST_TEST(pool.apply([] { return 1; }) + pool.apply([](int x) { return x; }, 2) == 3);
    pool.apply([] {});
}

// A slot holds 192 bytes: what comes with a function's name is about 30 of them. Below, at, and
// beyond what fits.
MULTIFORK_EACH_START_METHOD(plain_values_of_any_size_come_whole) {
    mp::Pool pool{context, 1};
    check_sum_of_so_many<1>(pool);
    check_sum_of_so_many<120>(pool);
    check_sum_of_so_many<145>(pool);
    check_sum_of_so_many<160>(pool);
    check_sum_of_so_many<191>(pool);
    check_sum_of_so_many<192>(pool);
    check_sum_of_so_many<1000>(pool);
}

MULTIFORK_EACH_START_METHOD(a_function_of_a_library_is_called) {
    mp::Pool pool{context, 1};
    int (*const absolute)(int) = std::abs; // of libc
    BOOST_TEST(pool.apply(absolute, -3) == 3);
    BOOST_TEST(pool.map(absolute, std::vector{-1, 2}) == (std::vector{1, 2}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_captured_address_is_refused_before_anything_is_sent) {
    mp::Pool pool{1};
    int here = 1;
    BOOST_CHECK_THROW(static_cast<void>(pool.submit([p = &here](int x) { return *p + x; }, 2)),
                      mp::NotShareable);
    BOOST_TEST(pool.apply([](int x) { return x; }, 3) == 3);
}

// As every closure and struct of plain values may have, by chance.
MULTIFORK_EACH_START_METHOD(an_address_in_the_padding_is_none_that_was_captured) {
    mp::Pool pool{context, 1};
    support::OverAddresses<Parcel> parcel;
    parcel->kind = 'a';
    parcel->grams = 0.5;
    parcel->heavy = true;
    const auto weight = [](const Parcel& it) { return it.kind + it.grams; };
    BOOST_TEST(pool.apply(weight, *parcel) == 'a' + 0.5);
    BOOST_TEST(pool.apply([it = *parcel] { return it.kind + it.grams; }) == 'a' + 0.5);
    support::OverAddresses<std::array<Parcel, 20>> many; // more than a slot holds
    many->fill(*parcel);
    BOOST_TEST(pool.apply([](const std::array<Parcel, 20>& all) { return all.back().kind; },
                          *many) == 'a');
    BOOST_TEST(pool.apply([all = *many](std::size_t n) { return all[n].kind; }, 19) == 'a');
}

BOOST_AUTO_TEST_SUITE_END()
