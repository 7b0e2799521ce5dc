#pragma once

#include "crash/container_world.hpp"

#include <multifork/channel/list.hpp>

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

} // namespace multifork::test::crash::container_scenarios
