#include <multifork/liveness/thread_word.hpp>

#include <boost/test/unit_test.hpp>

using namespace multifork::liveness;

BOOST_AUTO_TEST_SUITE(thread_word)

BOOST_AUTO_TEST_CASE(slot_and_generation_come_back) {
    for (const std::uint32_t slot : {0U, 1U, 63U, 16'383U, max_slots - 1})
        for (const std::uint64_t generation :
             {std::uint64_t{1}, std::uint64_t{0x3FFF}, std::uint64_t{0x4000},
              std::uint64_t{123'456'789'012}, (std::uint64_t{1} << 46) - 1}) {
            const ThreadWord word = make_thread_word(slot, generation);
            BOOST_TEST(slot_of(word) == slot);
            BOOST_TEST(generation_of(word) == generation);
        }
}

BOOST_AUTO_TEST_CASE(the_flags_are_no_part_of_the_name) {
    const ThreadWord word = make_thread_word(5, 77);
    BOOST_TEST(name_of(word | waiters_bit | one_store_bit) == word);
    BOOST_TEST(slot_of(word | waiters_bit | one_store_bit) == 5U);
    BOOST_TEST(generation_of(word | waiters_bit | one_store_bit) == 77U);
}

BOOST_AUTO_TEST_CASE(no_name_is_nobody_or_poisoned) {
    for (std::uint32_t slot = 0; slot < max_slots; ++slot) {
        BOOST_REQUIRE(make_thread_word(slot, 1) != nobody);
        BOOST_REQUIRE(make_thread_word(slot, 0) != poisoned);
    }
}

BOOST_AUTO_TEST_CASE(the_next_user_of_a_slot_has_another_name_in_the_half_that_a_futex_sees) {
    const auto half = [](ThreadWord word) { return static_cast<std::uint32_t>(word); };
    for (std::uint64_t generation = 1; generation < 0x3FFF; ++generation)
        BOOST_REQUIRE(half(make_thread_word(3, generation)) !=
                      half(make_thread_word(3, generation + 1)));
}

BOOST_AUTO_TEST_SUITE_END()
