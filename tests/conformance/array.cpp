#include <multifork/channel/array.hpp>
#include <multifork/process/process.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <concepts>
#include <numeric>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

const std::vector<int> source{680, 626, 934, 821, 150, 233, 548, 982, 714, 831};

/// What test_array and test_rawarray do.
template <class Array>
void checks_of_an_array(const mp::Context& context) {
    std::vector<int> local = source;
    Array array(source);
    BOOST_TEST(array.size() == 10u);
    BOOST_TEST(array[3] == local[3]);
    BOOST_TEST((array.slice(2, 7) == std::vector<int>(local.begin() + 2, local.begin() + 7)));
    array.assign(4, {1, 2, 3, 4});
    std::iota(local.begin() + 4, local.begin() + 8, 1);
    BOOST_TEST((array.to_vector() == local));
    std::partial_sum(local.begin(), local.end(), local.begin());
    support::run_in_child(
        context,
        [](Array shared) { std::partial_sum(shared.begin(), shared.end(), shared.begin()); },
        array);
    BOOST_TEST((array.to_vector() == local));
}

template <class T>
concept HasLock = requires(T t) {
    t.get_lock();
};

} // namespace

BOOST_AUTO_TEST_SUITE(array)

MULTIFORK_EACH_START_METHOD(A_001_an_array_is_changed_by_a_child) {
    checks_of_an_array<mp::Array<int>>(context);
}

MULTIFORK_EACH_START_METHOD(A_003_a_raw_array_is_changed_by_a_child) {
    checks_of_an_array<mp::RawArray<int>>(context);
}

// get_obj() is view(). Each Array has a lock of its own, whose owner counts: one that is passed in,
// or none, is refused by the compiler; who wants no lock takes a RawArray.
BOOST_AUTO_TEST_CASE(A_004_locks_of_arrays) {
    static_assert(HasLock<mp::Array<int>>);
    static_assert(!HasLock<mp::RawArray<int>>);
    static_assert(!std::constructible_from<mp::Array<int>, int, mp::Lock>);
    mp::Array<int> array{10};
    const auto copy = array;
    const std::scoped_lock hold(array.get_lock());
    BOOST_TEST(copy.get_lock().owner().has_value(), "copies of the handle have the same lock");
    BOOST_TEST(array.view().size() == 10u);
}

BOOST_AUTO_TEST_SUITE_END()
