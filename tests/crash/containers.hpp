#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/channel/dict.hpp>
#include <multifork/channel/list.hpp>
#include <multifork/channel/namespace.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A process dies while it changes a container. The change has happened or not, the others go on,
// and no block is lost or freed too early.

namespace multifork::test::crash::container_scenarios {

/// No more and no fewer blocks than there should be, when what the dead had was swept.
inline void expect_blocks(std::uint64_t expected) {
    arena::tree_space().sweep();
    const auto now = arena::arena_usage().blocks_used;
    require(now == expected, "blocks leak, or are gone: " + std::to_string(expected) +
                                 " expected, now " + std::to_string(now));
}

/// An element in the list's table.
struct Number {
    using Type = std::int64_t;
    static constexpr const char* what = "numbers";
    static Type make(int n) { return n; }
};
/// One in a block of its own.
struct Text {
    using Type = std::string;
    static constexpr const char* what = "texts";
    static Type make(int n) { return "text number " + std::to_string(100 + n); }
};

inline constexpr int mark = 90;   // what a partner adds
inline constexpr int probe = 80;  // what the check adds
inline constexpr int from_a = 70; // what the victim adds
inline constexpr int from_b = 71; // what B adds, of a pair

// ---- lists
// ----------------------------------------------------------------------------------------------

template <class Kind>
class ListWorld {
public:
    using T = typename Kind::Type;
    using Values = std::vector<T>;

    std::optional<List<T>> list;

    static Values values(const std::vector<int>& numbers) {
        Values made;
        for (const int n : numbers)
            made.push_back(Kind::make(n));
        return made;
    }

    void fresh(const Values& before) {
        list.reset();
        if (!spare_) {
            spare_.emplace();
            warm_up(); // which gives it a table
        }
        blocks_ = arena::arena_usage().blocks_used;
        list.emplace();
        for (const T& value : before) // one by one: there is room behind them, or not
            list->append(value);
    }
    /// For the victim, before the marker: its thread is attached and its buffer is there.
    void warm_up() {
        spare_->append(Kind::make(1));
        spare_->pop();
    }
    Job append(int n) {
        return [this, n] {
            list->append(Kind::make(n));
            return std::uint64_t{1};
        };
    }

    /// The elements that are neither `extra`; each of those must be there so often as it is said.
    Values without(std::vector<std::pair<int, std::size_t>> extra) {
        Values now = list->copy();
        for (const auto& [n, count] : extra) {
            const T value = Kind::make(n);
            require(static_cast<std::size_t>(std::ranges::count(now, value)) == count,
                    "an element is lost or doubled");
            std::erase(now, value);
        }
        return now;
    }
    /// Elements keep their bytes, whatever else uses memory; the list works; nothing is lost.
    void settle() {
        Values now = list->copy();
        arena::tree_space().sweep();
        for (int i = 0; i < 8; ++i) {
            list->append(Kind::make(probe));
            now.push_back(Kind::make(probe));
        }
        require(list->copy() == now, "an element has become another one's");
        list->set(0, Kind::make(probe));
        now.front() = Kind::make(probe);
        list->sort();
        std::ranges::sort(now);
        require(list->copy() == now, "the list is damaged");
        list->assign(0, List<T>::to_the_end, Values{});
        require(list->empty(), "the list is not empty");
        expect_blocks(blocks_ + 2); // the list and its table
    }

private:
    std::optional<List<T>> spare_;
    std::uint64_t blocks_ = 0;
};

/// What an operation makes of a list.
template <class Kind>
struct ListChange {
    using World = ListWorld<Kind>;
    const char* name;
    std::vector<int> before;
    std::function<void(List<typename Kind::Type>&)> act;
    std::vector<int> after;
};

template <class Kind>
Scenario change(const std::shared_ptr<ListWorld<Kind>>& world, const ListChange<Kind>& what,
                const char* around) {
    Scenario scenario;
    scenario.name = std::string("list of ") + Kind::what + ": " + what.name + around;
    const auto before = world->values(what.before);
    const auto after = world->values(what.after);
    scenario.set_up = [world, before] { world->fresh(before); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.operation = [world, act = what.act] { act(*world->list); };
    scenario.check = [world, before, after](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            static_cast<void>(round.result_of(i, "append() of a survivor hangs"));
        const auto now = world->without({{mark, round.partner_count()}});
        require(now == after || (!round.finished() && now == before), "a half-done change");
        world->settle();
    };
    scenario.state = [world] { return world->list->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}
template <class Kind>
Scenario alone(const ListChange<Kind>& what) {
    return change<Kind>(std::make_shared<ListWorld<Kind>>(), what, ", alone");
}
template <class Kind>
Scenario with_others(const ListChange<Kind>& what) {
    const auto world = std::make_shared<ListWorld<Kind>>();
    Scenario scenario = change<Kind>(world, what, ", two arrive");
    scenario.late = {world->append(mark), world->append(mark)};
    return scenario;
}

// A table has room for 6, then 14.
template <class K>
ListChange<K> append() {
    return {"append", {1, 2}, [](auto& list) { list.append(K::make(3)); }, {1, 2, 3}};
}
template <class K>
ListChange<K> append_and_grow() {
    return {"append that grows",
            {1, 2, 3, 4, 5, 6},
            [](auto& list) { list.append(K::make(7)); },
            {1, 2, 3, 4, 5, 6, 7}};
}
template <class K>
ListChange<K> extend() {
    return {"extend",
            {1, 2},
            [](auto& list) {
                list.extend({K::make(3), K::make(4), K::make(5)});
            },
            {1, 2, 3, 4, 5}};
}
template <class K>
ListChange<K> insert() {
    return {"insert", {1, 2, 3}, [](auto& list) { list.insert(1, K::make(9)); }, {1, 9, 2, 3}};
}
template <class K>
ListChange<K> erase() {
    return {"erase", {1, 2, 3}, [](auto& list) { list.erase(1); }, {1, 3}};
}
template <class K>
ListChange<K> pop() {
    return {"pop", {1, 2, 3}, [](auto& list) { list.pop(); }, {1, 2}};
}
template <class K>
ListChange<K> set() {
    return {"set", {1, 2, 3}, [](auto& list) { list.set(1, K::make(9)); }, {1, 9, 3}};
}
template <class K>
ListChange<K> fetch_update() {
    return {"fetch_update",
            {1, 2, 3},
            [](auto& list) { list.fetch_update(1, [](auto& value) { value = K::make(9); }); },
            {1, 9, 3}};
}
template <class K>
ListChange<K> sort() {
    return {"sort", {3, 1, 2}, [](auto& list) { list.sort(); }, {1, 2, 3}};
}
template <class K>
ListChange<K> repeat() {
    return {"*=", {1, 2}, [](auto& list) { list *= 2; }, {1, 2, 1, 2}};
}
template <class K>
ListChange<K> assign() {
    return {"assign to a slice",
            {1, 2, 3, 4},
            [](auto& list) {
                list.assign(1, 3, {K::make(8), K::make(9), K::make(10)});
            },
            {1, 8, 9, 10, 4}};
}
template <class K>
ListChange<K> clear() {
    return {"clear", {1, 2, 3, 4, 5, 6, 7}, [](auto& list) { list.clear(); }, {}};
}

/// Two processes append; the one that dies stands anywhere.
template <class Kind>
Pair append_and_append(Pair::Order order, const std::vector<int>& before) {
    const auto world = std::make_shared<ListWorld<Kind>>();
    const auto values = world->values(before);
    Pair pair;
    pair.name = std::string("list of ") + Kind::what + ": append/append" +
                (order == Pair::Order::a_first ? ", A first" : ", B first");
    pair.order = order;
    pair.set_up = [world, values] { world->fresh(values); };
    pair.prepare_a = [world] { world->warm_up(); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { world->append(from_a)(); };
    pair.b = world->append(from_b);
    pair.check = [world, values](PairRound& round) {
        static_cast<void>(round.b_ends("append() hangs behind a dead one"));
        const auto now = world->list->copy();
        const auto from_dead =
            static_cast<std::size_t>(std::ranges::count(now, Kind::make(from_a)));
        require(from_dead == 1 || (from_dead == 0 && !round.a_finished()),
                "what A appended is lost");
        require(world->without({{from_a, from_dead}, {from_b, 1}}) == values, "others are lost");
        world->settle();
    };
    pair.state = [world] { return world->list->to_string(); };
    return pair;
}

// ---- dicts
// ----------------------------------------------------------------------------------------------

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

// ---- a namespace
// ----------------------------------------------------------------------------------------------

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
