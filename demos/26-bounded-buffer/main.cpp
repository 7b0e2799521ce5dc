// Two producers and a consumer at a buffer with room for two. Without semaphores producers write
// over each other, or beyond the end.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/semaphore.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr int room = 2;
enum : std::uint16_t { count_name, slot_name, free_name = slot_name + 4, items_name, mutex_name };

class BoundedBuffer : public Race {
public:
    explicit BoundedBuffer(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override {
        return {"Producer-1", "Producer-2", "Consumer"};
    }
    Names names() const override {
        return {{"count", "slot A", "slot B", "slot C", "slot D", "free", "items", "mutex"},
                "count",
                count_name};
    }
    void set_up() override {
        for (auto& slot : slots_)
            slot.store(0);
        slots_[0].store(77); // one is in it already
        count_.store(1);
        taken_.store(0);
        set(free_, room - 1);
        set(items_, 1);
        set(mutex_, 1);
    }
    void work(std::size_t me, Actor& actor) override {
        if (me == 2)
            consume(actor);
        else
            produce(actor, me == 0 ? 11 : 22);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const int count = count_.load();
        if (count > room)
            return {true,
                    fmt::format("{} items are in a buffer that has room for {}.", count, room)};
        std::vector<int> all{taken_.load()};
        for (int i = 0; i < count; ++i)
            all.push_back(slots_[static_cast<std::size_t>(i)].load());
        std::sort(all.begin(), all.end());
        const std::string what = fmt::format("{}", fmt::join(all, ", "));
        if (all != std::vector<int>{11, 22, 77})
            return {true,
                    fmt::format("11, 22 and 77 were put in; taken out or still there: {}.", what)};
        return {false,
                fmt::format("Taken out or still there: {}. Nothing lost, nothing double.", what)};
    }
    void annotate(Chronicle& told) override {
        if (!told.went_wrong)
            return;
        // Two items in one slot, one in a slot that there is not, or a count made from one that
        // somebody else had changed since.
        std::vector<std::string> written;
        std::array<bool, 3> is_stale{};
        Moment* last_count = nullptr;
        bool is_marked = false;
        for (Moment& moment : told.moments) {
            if (moment.text.starts_with("load count"))
                is_stale[moment.lane] = false;
            if (moment.text.starts_with("store count")) {
                moment.is_bad = is_stale[moment.lane];
                is_stale.fill(true);
                last_count = &moment;
            }
            if (moment.text.starts_with("store slot")) {
                const std::string slot = moment.text.substr(0, 12);
                moment.is_bad = slot >= "store slot C" ||
                                std::find(written.begin(), written.end(), slot) != written.end();
                written.push_back(slot);
            }
            is_marked = is_marked || moment.is_bad;
        }
        // A process may be interrupted between a step and its look at the clock, and the steps be
        // told in another order than they were. After the last one the count is wrong in any case.
        if (!is_marked && last_count)
            last_count->is_bad = true;
    }
    /// Both producers look at the count before one of them writes.
    std::vector<std::size_t> bad_schedule() const override {
        return {0, 1, 0, 1, 0, 1, 0, 1, 2, 2};
    }
    bool can_go(std::size_t, const mp::lab::Step& step) override {
        if (step.access != mp::lab::Access::acquire)
            return true;
        return of(step.object).value() > 0;
    }

private:
    mp::Semaphore& of(std::uint16_t name) {
        return name == free_name ? free_ : name == items_name ? items_ : mutex_;
    }
    static void set(mp::Semaphore& semaphore, std::int64_t value) {
        while (semaphore.value() > value && semaphore.try_acquire()) {
        }
        while (semaphore.value() < value)
            semaphore.release();
    }
    void acquire(Actor& actor, std::uint16_t name) {
        if (cured_)
            actor.acquire(of(name), name);
    }
    void release(Actor& actor, std::uint16_t name) {
        if (cured_)
            actor.release(of(name), name);
    }

    void produce(Actor& actor, int item) {
        acquire(actor, free_name);
        acquire(actor, mutex_name);
        const int count = actor.load(count_, count_name);
        const int slot = std::min(count, 3);
        actor.store(slots_[static_cast<std::size_t>(slot)], item,
                    static_cast<std::uint16_t>(slot_name + slot));
        actor.store(count_, count + 1, count_name);
        release(actor, mutex_name);
        release(actor, items_name);
    }
    void consume(Actor& actor) {
        acquire(actor, items_name);
        acquire(actor, mutex_name);
        const int count = actor.load(count_, count_name);
        const int slot = std::clamp(count - 1, 0, 3);
        const int item = actor.load(slots_[static_cast<std::size_t>(slot)],
                                    static_cast<std::uint16_t>(slot_name + slot));
        actor.store(count_, count - 1, count_name);
        taken_.store(item);
        release(actor, mutex_name);
        release(actor, free_name);
    }

    bool cured_;
    std::array<mp::Value<int>, 4> slots_;
    mp::Value<int> count_{1};
    mp::Value<int> taken_{0};
    mp::Semaphore free_{1};
    mp::Semaphore items_{1};
    mp::Semaphore mutex_{1};
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo buffer;
    buffer.name = "bounded-buffer";
    buffer.summary =
        "Two producers and a consumer share a buffer with room for two items: without\n"
        "protection, and with Dijkstra's three semaphores.\n";
    buffer.title = "Two producers and a consumer at a buffer for two items";
    buffer.lead =
        "One item is in the buffer. Each producer puts one in, the consumer takes one out. "
        "In the end there must be two, and none may be lost or there twice.";
    buffer.without = "no semaphores";
    buffer.with = "three semaphores";
    buffer.moral =
        "One semaphore counts free slots, one counts items, one lets a single process at "
        "the buffer. Who finds no free slot, or no item, sleeps until there is one. "
        "multifork's Queue is such a buffer, and survives the death of its users.";
    buffer.make = [](bool cured, std::size_t) { return std::make_unique<BoundedBuffer>(cured); };
    return race_main(buffer, argc, argv);
}
