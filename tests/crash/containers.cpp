#include "crash/dict_changes.hpp"
#include "crash/list_changes.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::container_scenarios;

// Some of these take ten thousand instructions, most of them the codec's and the heap's, which have
// tests of their own: about so many places, and every instruction of what is shorter.
inline constexpr unsigned long dense = 1500;

/// A case `name` of the fast tier, and `name_densely` of the full one.
#define MULTIFORK_CONTAINER_TEST(name, ...)                                                        \
    BOOST_AUTO_TEST_CASE(name, *ut::label("fast")) {                                               \
        check(__VA_ARGS__, {.kills = 35});                                                         \
    }                                                                                              \
    BOOST_AUTO_TEST_CASE(name##_densely, *ut::label("full") * ut::timeout(900)) {                  \
        check(__VA_ARGS__, {.kills = dense});                                                      \
    }

BOOST_AUTO_TEST_SUITE(list)

MULTIFORK_CONTAINER_TEST(append_of_texts, alone(append<Text>()))
MULTIFORK_CONTAINER_TEST(append_of_numbers, alone(append<Number>()))
MULTIFORK_CONTAINER_TEST(append_of_texts_with_others, with_others(append<Text>()))
MULTIFORK_CONTAINER_TEST(append_of_texts_that_grows, alone(append_and_grow<Text>()))
MULTIFORK_CONTAINER_TEST(append_of_numbers_that_grows, alone(append_and_grow<Number>()))
MULTIFORK_CONTAINER_TEST(append_that_grows_with_others, with_others(append_and_grow<Text>()))
MULTIFORK_CONTAINER_TEST(extend_of_texts, alone(extend<Text>()))
MULTIFORK_CONTAINER_TEST(insert_of_texts, alone(insert<Text>()))
MULTIFORK_CONTAINER_TEST(insert_of_numbers_with_others, with_others(insert<Number>()))
MULTIFORK_CONTAINER_TEST(erase_of_texts, alone(erase<Text>()))
MULTIFORK_CONTAINER_TEST(erase_of_texts_with_others, with_others(erase<Text>()))
MULTIFORK_CONTAINER_TEST(pop_of_texts, alone(pop<Text>()))
MULTIFORK_CONTAINER_TEST(pop_of_numbers_with_others, with_others(pop<Number>()))
MULTIFORK_CONTAINER_TEST(set_of_texts, alone(set<Text>()))
MULTIFORK_CONTAINER_TEST(set_of_texts_with_others, with_others(set<Text>()))
MULTIFORK_CONTAINER_TEST(fetch_update_of_texts, alone(fetch_update<Text>()))
MULTIFORK_CONTAINER_TEST(fetch_update_of_numbers_with_others, with_others(fetch_update<Number>()))
MULTIFORK_CONTAINER_TEST(sort_of_texts, alone(sort<Text>()))
MULTIFORK_CONTAINER_TEST(sort_of_numbers_with_others, with_others(sort<Number>()))
MULTIFORK_CONTAINER_TEST(repeat_of_texts, alone(repeat<Text>()))
MULTIFORK_CONTAINER_TEST(assign_of_texts, alone(assign<Text>()))
MULTIFORK_CONTAINER_TEST(clear_of_texts, alone(clear<Text>()))

MULTIFORK_CRASH_TEST(two_append_and_one_dies, append_and_append<Text>(Pair::Order::a_first, {1, 2}))
MULTIFORK_CRASH_TEST(two_append_and_the_later_one_dies,
                     append_and_append<Text>(Pair::Order::b_first, {1, 2}))
MULTIFORK_CRASH_TEST(two_grow_and_one_dies,
                     append_and_append<Number>(Pair::Order::a_first, {1, 2, 3, 4, 5, 6}))

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(dict)

MULTIFORK_CONTAINER_TEST(insert_of_texts, alone(dict_insert<Text>()))
MULTIFORK_CONTAINER_TEST(insert_of_numbers, alone(dict_insert<Number>()))
MULTIFORK_CONTAINER_TEST(insert_of_texts_with_others, with_others(dict_insert<Text>()))
MULTIFORK_CONTAINER_TEST(insert_of_texts_that_grows, alone(dict_insert_and_grow<Text>()))
MULTIFORK_CONTAINER_TEST(insert_that_grows_with_others, with_others(dict_insert_and_grow<Number>()))
MULTIFORK_CONTAINER_TEST(replace_of_texts, alone(dict_replace<Text>()))
MULTIFORK_CONTAINER_TEST(replace_with_others, with_others(dict_replace<Text>()))
MULTIFORK_CONTAINER_TEST(fetch_update_of_texts, alone(dict_fetch_update<Text>()))
MULTIFORK_CONTAINER_TEST(erase_of_texts, alone(dict_erase<Text>()))
MULTIFORK_CONTAINER_TEST(erase_of_numbers_with_others, with_others(dict_erase<Number>()))
MULTIFORK_CONTAINER_TEST(popitem_of_texts, alone(dict_popitem<Text>()))
MULTIFORK_CONTAINER_TEST(setdefault_of_texts, alone(dict_setdefault<Text>()))
MULTIFORK_CONTAINER_TEST(update_of_texts, alone(dict_update<Text>()))
MULTIFORK_CONTAINER_TEST(update_with_others, with_others(dict_update<Text>()))
MULTIFORK_CONTAINER_TEST(clear_of_texts, alone(dict_clear<Text>()))

MULTIFORK_CRASH_TEST(two_set_and_one_dies,
                     set_and_set<Text>(Pair::Order::a_first, {{1, 1}, {2, 2}}))
MULTIFORK_CRASH_TEST(two_set_and_the_later_one_dies,
                     set_and_set<Number>(Pair::Order::b_first, {{1, 1}, {2, 2}}))

MULTIFORK_CONTAINER_TEST(attributes_of_a_namespace, set_attribute())

BOOST_AUTO_TEST_SUITE_END()

#define MULTIFORK_CONTAINER_MUTANT_TEST(name, mutant, about, ...)                                  \
    BOOST_AUTO_TEST_CASE(name, *ut::label("full") * ut::timeout(300)) {                            \
        check_mutant(__VA_ARGS__, multifork::mutants::Mutant::mutant, {.kills = about});           \
    }

BOOST_AUTO_TEST_SUITE(container_mutants)

// Some of the mistakes matter for a few instructions only, others for hundreds.
inline constexpr unsigned long everywhere = 0;
inline constexpr unsigned long coarsely = 200;

MULTIFORK_CONTAINER_MUTANT_TEST(count_first_is_caught, count_first, everywhere,
                                alone(append<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(give_late_is_caught, give_late, everywhere, alone(append<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(free_old_first_is_caught, free_old_first, coarsely,
                                alone(set<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(count_first_is_caught_by_a_dict, count_first, everywhere,
                                alone(dict_insert<Number>()))
MULTIFORK_CONTAINER_MUTANT_TEST(give_late_is_caught_by_a_dict, give_late, everywhere,
                                alone(dict_insert<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(free_old_first_is_caught_by_a_dict, free_old_first, coarsely,
                                alone(dict_replace<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(free_old_first_is_caught_by_a_table_that_grows, free_old_first,
                                coarsely, alone(append_and_grow<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(keep_leftovers_is_caught_by_a_list, keep_leftovers, coarsely,
                                alone(insert<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(keep_leftovers_is_caught_by_a_dict, keep_leftovers, coarsely,
                                alone(dict_replace<Text>()))
MULTIFORK_CONTAINER_MUTANT_TEST(trust_index_is_caught_by_an_insert, trust_index, everywhere,
                                alone(dict_insert<Number>()))
MULTIFORK_CONTAINER_MUTANT_TEST(trust_index_is_caught_by_an_erase, trust_index, everywhere,
                                alone(dict_erase<Number>()))

BOOST_AUTO_TEST_SUITE_END()
