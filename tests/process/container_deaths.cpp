#include <multifork/liveness/tuning.hpp>
#include <multifork/multifork.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

/// Ends a process that sleeps in the middle of `operation`, while another one waits to do `next`.
void die_inside(const std::function<void(const std::function<void()>& sleep)>& operation,
                const std::function<void()>& next) {
    mp::liveness::tuning().tick_ns = 0; // a lost wake-up hangs
    mp::Event inside;
    support::RawChild victim([&] {
        operation([&] {
            inside.set();
            for (;;)
                ::pause();
        });
        return 0;
    });
    inside.wait();
    mp::Process waiting{next};
    waiting.start();
    support::wait_until_asleep(static_cast<pid_t>(waiting.pid().value()));
    victim.kill();
    support::expect_exit(waiting);
    BOOST_TEST(victim.wait() == -SIGKILL);
}

} // namespace

BOOST_AUTO_TEST_SUITE(container_deaths)

BOOST_AUTO_TEST_CASE(a_process_killed_inside_an_update_of_an_element) {
    mp::List<std::string> list{"a", "b"};
    die_inside(
        [&](const auto& sleep) {
            list.fetch_update(0, [&](std::string& text) {
                text = "changed";
                sleep();
            });
        },
        [&] { list.append("c"); });
    BOOST_TEST((list.copy() == std::vector<std::string>{"a", "b", "c"}));
    BOOST_TEST(list.repairs() == 1u);
}

BOOST_AUTO_TEST_CASE(a_process_killed_inside_a_comparison) {
    mp::List<std::string> list{"b", "a"};
    die_inside(
        [&](const auto& sleep) {
            list.sort([&](const std::string&, const std::string&) {
                sleep();
                return false;
            });
        },
        [&] { list.sort(); });
    BOOST_TEST((list.copy() == std::vector<std::string>{"a", "b"}));
}

BOOST_AUTO_TEST_CASE(a_process_killed_inside_an_update_of_a_dict) {
    mp::Dict<std::string, int> dict{{"a", 1}};
    die_inside([&](const auto& sleep) { dict.fetch_update("a", [&](int&) { sleep(); }); },
               [&] { dict.fetch_add("a", 5); });
    BOOST_TEST(dict.at("a") == 6);
}

BOOST_AUTO_TEST_CASE(a_process_killed_inside_an_update_of_an_attribute) {
    mp::Namespace shared;
    shared.set("x", 1);
    die_inside([&](const auto& sleep) { shared.fetch_update<int>("x", [&](int&) { sleep(); }); },
               [&] { shared.fetch_update<int>("x", [](int& x) { x += 5; }); });
    BOOST_TEST(shared.get<int>("x") == 6);
}

BOOST_AUTO_TEST_CASE(a_process_that_exits_inside_an_update) {
    mp::List<int> list{1};
    support::RawChild child([&] {
        list.fetch_update(0, [](int& value) {
            value = 2;
            std::_Exit(3);
        });
        return 0;
    });
    BOOST_TEST(child.wait() == 3);
    BOOST_TEST(list.at(0) == 1);
    list.set(0, 5);
    BOOST_TEST(list.at(0) == 5);
}

// The containers keep what their elements lead to, whoever made it and however it ended.
BOOST_AUTO_TEST_CASE(a_list_made_by_a_child_lives_on_in_its_parents_list) {
    mp::List<mp::List<std::string>> outer;
    support::run_in_child([&] {
        mp::List<std::string> inner{"from a child"};
        outer.append(inner);
    });
    support::RawChild killed([&] {
        mp::List<std::string> inner{"from one that was killed"};
        outer.append(inner);
        std::raise(SIGKILL);
        return 0;
    });
    BOOST_TEST(killed.wait() == -SIGKILL);
    mp::arena::tree_space().sweep();
    const mp::List<std::string> fill{"other", "bytes"};
    BOOST_TEST(outer.at(0).at(0) == "from a child");
    BOOST_TEST(outer.at(1).at(0) == "from one that was killed");
    auto inner = outer.pop(0);
    mp::arena::tree_space().sweep();
    BOOST_TEST(inner.at(0) == "from a child");
}

BOOST_AUTO_TEST_CASE(what_a_container_leads_to_goes_with_it) {
    const auto before = mp::arena::arena_usage().blocks_used;
    {
        mp::Dict<int, mp::Queue<std::string>> dict;
        mp::List<mp::List<int>> outer;
        for (int i = 0; i < 20; ++i) {
            dict.set(i, mp::Queue<std::string>{2});
            dict.at(i).put(std::string(500, 'x'));
            outer.append(mp::List<int>{i});
        }
        for (int i = 0; i < 10; ++i) {
            dict.erase(i);
            outer.erase(0);
        }
        BOOST_TEST(dict.at(15).get() == std::string(500, 'x'));
        BOOST_TEST(outer.at(-1).at(0) == 19);
        mp::Namespace shared;
        shared.set("list", outer);
        shared.set("dict", dict);
        BOOST_TEST(shared.get<mp::List<mp::List<int>>>("list").size() == 10u);
    }
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before);
}

BOOST_AUTO_TEST_CASE(nested_containers_of_containers) {
    mp::Dict<std::string, mp::Dict<std::string, mp::List<int>>> tree;
    tree.set("a", {});
    tree.at("a").set("b", {1, 2});
    support::run_in_child([&] {
        tree.at("a").at("b").append(3);
        tree.at("a").set("c", {7});
    });
    BOOST_TEST((tree.at("a").at("b").copy() == std::vector<int>{1, 2, 3}));
    BOOST_TEST((tree.at("a").at("c").copy() == std::vector<int>{7}));
}

BOOST_AUTO_TEST_SUITE_END()
