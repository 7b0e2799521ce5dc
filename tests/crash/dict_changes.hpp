#pragma once

#include "crash/container_world.hpp"

#include <multifork/channel/dict.hpp>
#include <multifork/channel/namespace.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace multifork::test::crash::container_scenarios {

template <class Kind>
class DictWorld {
public:
    using T = typename Kind::Type;
    using Items = std::vector<std::pair<T, T>>;
    using Numbers = std::vector<std::pair<int, int>>;

    std::optional<Dict<T, T>> dict;

    static Items items(const Numbers& numbers) {
        Items made;
        for (const auto& [key, value] : numbers)
            made.emplace_back(Kind::make(key), Kind::make(value));
        return made;
    }

    void fresh(const Items& before) {
        dict.reset();
        if (!spare_)
            spare_.emplace();
        blocks_ = arena::arena_usage().blocks_used;
        dict.emplace();
        for (const auto& [key, value] : before)
            dict->set(key, value);
    }
    void warm_up() {
        spare_->set(Kind::make(1), Kind::make(1));
        spare_->clear();
    }
    Job set(int key) {
        return [this, key] {
            dict->set(Kind::make(key), Kind::make(key));
            return std::uint64_t{1};
        };
    }

    void expect_order_and_index() {
        const Items now = dict->items();
        require(now.size() == dict->size(), "the number of items is wrong");
        for (const auto& [key, value] : now)
            require(dict->get(key) == value, "an item is not found by its key");
        for (int n = 0; n < 40; ++n)
            require(dict->contains(Kind::make(n)) ==
                        std::ranges::any_of(
                            now, [&](const auto& item) { return item.first == Kind::make(n); }),
                    "the index and the items disagree");
    }
    void settle() {
        expect_order_and_index();
        Items now = dict->items();
        arena::tree_space().sweep();
        for (int i = 0; i < 8; ++i) {
            dict->set(Kind::make(30 + i), Kind::make(probe));
            now.emplace_back(Kind::make(30 + i), Kind::make(probe));
        }
        require(dict->items() == now, "an item has become another one's");
        expect_order_and_index();
        for (int i = 0; i < 8; ++i)
            require(dict->erase(Kind::make(30 + i)), "what was set is not there");
        expect_order_and_index();
        dict->clear();
        require(dict->empty(), "the dict is not empty");
        expect_blocks(blocks_ + 1); // the dict
    }

private:
    std::optional<Dict<T, T>> spare_;
    std::uint64_t blocks_ = 0;
};

template <class Kind>
struct DictChange {
    const char* name;
    std::vector<std::pair<int, int>> before;
    std::function<void(Dict<typename Kind::Type, typename Kind::Type>&)> act;
    std::vector<std::pair<int, int>> after;
};

template <class Kind>
Scenario change(const std::shared_ptr<DictWorld<Kind>>& world, const DictChange<Kind>& what,
                const char* around) {
    Scenario scenario;
    scenario.name = std::string("dict of ") + Kind::what + ": " + what.name + around;
    const auto before = world->items(what.before);
    const auto after = world->items(what.after);
    scenario.set_up = [world, before] { world->fresh(before); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.operation = [world, act = what.act] { act(*world->dict); };
    scenario.check = [world, before, after](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            static_cast<void>(round.result_of(i, "set() of a survivor hangs"));
        auto now = world->dict->items();
        for (std::size_t i = 0; i < round.partner_count(); ++i) {
            const auto key = Kind::make(mark + static_cast<int>(i));
            require(std::erase(now, std::pair(key, key)) == 1, "what a survivor set is not there");
        }
        require(now == after || (!round.finished() && now == before), "a half-done change");
        world->settle();
    };
    scenario.state = [world] { return world->dict->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}
template <class Kind>
Scenario alone(const DictChange<Kind>& what) {
    return change<Kind>(std::make_shared<DictWorld<Kind>>(), what, ", alone");
}
template <class Kind>
Scenario with_others(const DictChange<Kind>& what) {
    const auto world = std::make_shared<DictWorld<Kind>>();
    Scenario scenario = change<Kind>(world, what, ", two arrive");
    scenario.late = {world->set(mark), world->set(mark + 1)};
    return scenario;
}

// A table has room for 5 items, then 10.
template <class K>
DictChange<K> dict_insert() {
    return {"insert",
            {{1, 1}, {2, 2}},
            [](auto& dict) { dict.set(K::make(3), K::make(3)); },
            {{1, 1}, {2, 2}, {3, 3}}};
}
template <class K>
DictChange<K> dict_insert_and_grow() {
    return {"insert that grows",
            {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}},
            [](auto& dict) { dict.set(K::make(6), K::make(6)); },
            {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}}};
}
template <class K>
DictChange<K> dict_replace() {
    return {"replace",
            {{1, 1}, {2, 2}},
            [](auto& dict) { dict.set(K::make(1), K::make(9)); },
            {{1, 9}, {2, 2}}};
}
template <class K>
DictChange<K> dict_fetch_update() {
    return {
        "fetch_update",
        {{1, 1}, {2, 2}},
        [](auto& dict) { dict.fetch_update(K::make(1), [](auto& value) { value = K::make(9); }); },
        {{1, 9}, {2, 2}}};
}
template <class K>
DictChange<K> dict_erase() {
    return {"erase",
            {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}},
            [](auto& dict) { dict.erase(K::make(2)); },
            {{1, 1}, {3, 3}, {4, 4}, {5, 5}}};
}
template <class K>
DictChange<K> dict_popitem() {
    return {
        "popitem", {{1, 1}, {2, 2}, {3, 3}}, [](auto& dict) { dict.popitem(); }, {{1, 1}, {2, 2}}};
}
template <class K>
DictChange<K> dict_setdefault() {
    return {"setdefault",
            {{1, 1}},
            [](auto& dict) { dict.setdefault(K::make(2), K::make(2)); },
            {{1, 1}, {2, 2}}};
}
template <class K>
DictChange<K> dict_update() {
    return {"update",
            {{1, 1}, {2, 2}, {3, 3}},
            [](auto& dict) {
                dict.update(
                    {{K::make(2), K::make(8)}, {K::make(4), K::make(4)}, {K::make(2), K::make(9)}});
            },
            {{1, 1}, {2, 9}, {3, 3}, {4, 4}}};
}
template <class K>
DictChange<K> dict_clear() {
    return {"clear", {{1, 1}, {2, 2}}, [](auto& dict) { dict.clear(); }, {}};
}

template <class Kind>
Pair set_and_set(Pair::Order order, const std::vector<std::pair<int, int>>& before) {
    const auto world = std::make_shared<DictWorld<Kind>>();
    const auto items = world->items(before);
    Pair pair;
    pair.name = std::string("dict of ") + Kind::what + ": set/set" +
                (order == Pair::Order::a_first ? ", A first" : ", B first");
    pair.order = order;
    pair.set_up = [world, items] { world->fresh(items); };
    pair.prepare_a = [world] { world->warm_up(); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { world->set(from_a)(); };
    pair.b = world->set(from_b);
    pair.check = [world, items](PairRound& round) {
        static_cast<void>(round.b_ends("set() hangs behind a dead one"));
        auto now = world->dict->items();
        const auto item = [](int n) { return std::pair(Kind::make(n), Kind::make(n)); };
        require(std::erase(now, item(from_b)) == 1, "what B set is lost or doubled");
        const auto from_dead = std::erase(now, item(from_a));
        require(from_dead == 1 || (from_dead == 0 && !round.a_finished()), "what A set is lost");
        require(now == items, "others are lost");
        world->settle();
    };
    pair.state = [world] { return world->dict->to_string(); };
    return pair;
}

inline Scenario set_attribute() {
    struct World {
        std::optional<Namespace> shared;
        std::uint64_t blocks = 0;
    };
    const auto world = std::make_shared<World>();
    Scenario scenario;
    scenario.name = "set an attribute of a namespace";
    scenario.set_up = [world] {
        world->shared.reset();
        world->blocks = arena::arena_usage().blocks_used;
        world->shared.emplace();
        world->shared->set("name", "Bob");
        world->shared->set("age", 5);
    };
    scenario.prepare = [world] { static_cast<void>(world->shared->to_string()); };
    scenario.operation = [world] { world->shared->set("age", "old enough"); };
    scenario.check = [world](Round& round) {
        const std::string now = world->shared->to_string();
        require(now == "Namespace(name='Bob', age='old enough')" ||
                    (!round.finished() && now == "Namespace(name='Bob', age=5)"),
                "a half-set attribute");
        world->shared->clear();
        expect_blocks(world->blocks + 1);
    };
    scenario.state = [world] { return world->shared->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

} // namespace multifork::test::crash::container_scenarios
