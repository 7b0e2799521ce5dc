#include <multifork/pool/delayed.hpp>
#include <multifork/pool/parallel.hpp>

#include "pool/parallel_jobs.hpp"

#include <boost/test/unit_test.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What the arguments of delayed() are while they wait for their call.

namespace mp = multifork;
using mp::ParallelBackend;
using namespace multifork::test::parallel_jobs;

namespace {

std::size_t length(std::string_view text) {
    return text.size();
}
char last(std::string_view text) {
    return text.back();
}
int sum(std::span<const int> numbers) {
    int all = 0;
    for (const int n : numbers)
        all += n;
    return all;
}

struct Shape {
    virtual ~Shape() = default;
    [[nodiscard]] virtual double area() const { return 0; }
};
struct Square : Shape {
    explicit Square(double of) : side(of) {}
    [[nodiscard]] double area() const override { return side * side; }
    double side;
};
double area(const Shape& shape) {
    return shape.area();
}

using SizeOf = std::size_t(const std::vector<int>&);
std::string doubled(std::string& text) {
    return text += text;
}
std::string said(const char* text) {
    return text == nullptr ? "nothing" : text;
}
int value_or_zero(std::optional<int> n) {
    return n.value_or(0);
}

template <class F, class... Args>
concept CanBeDelayed = requires(mp::DelayedFunction<F> f, Args... args) {
    f(args...);
};

const std::vector<ParallelBackend> in_this_process{ParallelBackend::threads,
                                                   ParallelBackend::sequential};

} // namespace

BOOST_AUTO_TEST_SUITE(delayed)

BOOST_AUTO_TEST_CASE(what_a_view_looks_at_waits_itself) {
    const std::string name(100, 'n');
    auto job = mp::delayed(last)(name + "!"); // the sum is gone at the end of this line
    const std::string in_its_place(101, 'x');
    BOOST_TEST(job() == '!');
    for (const auto backend : backends)
        BOOST_TEST((mp::Parallel{.n_jobs = 2, .backend = backend}(mp::delayed(length)(name + "!"),
                                                                  mp::delayed(length)("four")) ==
                    std::vector<std::size_t>{101, 4}));
    for (const auto backend : backends)
        BOOST_TEST((mp::Parallel{.n_jobs = 2, .backend = backend}(
                        mp::delayed(sum)(std::vector{1, 2}), mp::delayed(sum)(std::vector{3})) ==
                    std::vector<int>{3, 3}));
}

BOOST_AUTO_TEST_CASE(an_object_waits_with_all_that_it_is) {
    for (const auto backend : in_this_process)
        BOOST_TEST((mp::Parallel{.n_jobs = 2, .backend = backend}(mp::delayed(area)(Square(2)),
                                                                  mp::delayed(area)(Square(3))) ==
                    std::vector<double>{4, 9}));
}

BOOST_AUTO_TEST_CASE(what_a_call_does_not_convert_waiting_does_not) {
    static_assert(!CanBeDelayed<SizeOf*, int>); // it would be that many zeros
    static_assert(CanBeDelayed<SizeOf*, std::vector<int>>);
    static_assert(!CanBeDelayed<decltype(&doubled), std::string_view>);
    static_assert(CanBeDelayed<decltype(&doubled), const char*>);
    static_assert(!CanBeDelayed<decltype(&said), int>);
    static_assert(!CanBeDelayed<decltype(&area), double>);
    BOOST_TEST(mp::delayed(doubled)("ab")() == "abab");
    BOOST_TEST(mp::delayed(said)(nullptr)() == "nothing");
    BOOST_TEST(mp::delayed(value_or_zero)(7)() == 7);
}

BOOST_AUTO_TEST_CASE(jobs_with_numbers_are_of_one_type) {
    std::vector<decltype(mp::delayed(square)(0))> jobs;
    jobs.push_back(mp::delayed(square)(2L));
    jobs.push_back(mp::delayed(square)(short{3}));
    for (const auto backend : backends)
        BOOST_TEST((mp::Parallel{.n_jobs = 2, .backend = backend}(jobs) == std::vector<int>{4, 9}));
    static_assert(
        std::same_as<decltype(mp::delayed(said)("a")), decltype(mp::delayed(said)(nullptr))>);
}

BOOST_AUTO_TEST_CASE(a_reference_stays_one) {
    std::string text = "ab";
    BOOST_TEST(mp::delayed(doubled)(std::ref(text))() == "abab");
    BOOST_TEST(text == "abab");
    const auto pointer = mp::delayed([](const std::unique_ptr<int>& p) { return *p; });
    BOOST_TEST(pointer(std::make_unique<int>(3))() == 3);
}

BOOST_AUTO_TEST_SUITE_END()
