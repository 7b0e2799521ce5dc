// The store buffer: each of two processes stores 1 to its own number and then loads the other's.
// Both can get 0.

#include "toolkit/race_main.hpp"

#include <multifork/channel/array.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/platform/clock.hpp>

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <utility>

namespace {

namespace mp = multifork;
using namespace demo;

enum : std::uint16_t { x_name, y_name, into_buffer };

class StoreBuffer : public Race {
public:
    explicit StoreBuffer(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Process-1", "Process-2"}; }
    Names names() const override { return {{"x", "y", "1 into the buffer"}, "", -1}; }
    void set_up() override {
        for (std::size_t i : {0U, 1U}) {
            number_[i].store(0);
            seen_[i].store(-1);
            done_[i].store(-1);
            for (std::size_t one = 0; one < tries; ++one)
                numbers_[i][one * apart] = 0;
        }
        met_.store(0);
    }
    void work(std::size_t me, Actor& actor) override {
        if (actor.is_gated())
            seen_[me].store(play(me, actor));
        else
            seen_[me].store(measure(me, actor));
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const int first = seen_[0].load();
        const int second = seen_[1].load();
        const bool wrong = first == 0 && second == 0;
        return {wrong,
                fmt::format("Process-1 loaded y = {}, Process-2 loaded x = {}{}", first, second,
                            wrong ? ": each store came after the other's load, which no "
                                    "order of the four steps explains."
                                  : ".")};
    }
    void annotate(Chronicle& told) override {
        for (Moment& moment : told.moments)
            moment.is_bad = told.went_wrong && moment.text.starts_with("load");
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 0, 1, 0, 1}; }

private:
    /// The processor's own doing. It needs both processes within a few nanoseconds, so they try
    /// many times in a round and meet before each try. Between the two steps nothing may come, no
    /// clock either, so that they share their times.
    int measure(std::size_t me, Actor& actor) {
        settle_down(me);
        std::array<std::int64_t, tries> begin{};
        std::array<std::int64_t, tries> end{};
        std::size_t done = 0;
        for (; done < tries && (meet(done) || done == 0); ++done) {
            const auto own = numbers_[me][done * apart];
            const auto other = numbers_[1 - me][done * apart];
            begin[done] = mp::platform::monotonic_ns();
            own = 1;
            if (cured_)
                std::atomic_thread_fence(std::memory_order_seq_cst);
            const int seen = other.get();
            end[done] = mp::platform::monotonic_ns();
            results_[me][done] = seen;
        }
        done_[me].store(static_cast<int>(done));
        while (done_[1 - me].load() < 0)
            std::this_thread::yield();
        done = std::min(done, static_cast<std::size_t>(done_[1 - me].load()));
        std::size_t told = 0; // the first try at which both loaded 0, or else the last one
        while (told + 1 < done && (results_[0][told] != 0 || results_[1][told] != 0))
            ++told;
        const int seen = results_[me][told];
        actor.note(Actor::Access::store, static_cast<std::uint16_t>(me), 1, begin[told], end[told]);
        actor.note(Actor::Access::load, static_cast<std::uint16_t>(1 - me), seen, begin[told],
                   end[told]);
        return seen;
    }
    /// Each on a processor of its own, if there are two: who wakes another likes to have it near.
    void settle_down(std::size_t me) {
        if (std::exchange(settled_, true))
            return;
        cpu_set_t allowed;
        if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
            return;
        std::size_t skip = me;
        for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &allowed) && skip-- == 0) {
                cpu_set_t own;
                CPU_ZERO(&own);
                CPU_SET(cpu, &own);
                ::sched_setaffinity(0, sizeof own, &own); // without it, it is only rarer
                return;
            }
    }
    /// \return false when the other one does not come
    bool meet(std::size_t round) {
        met_.fetch_add(1);
        const std::int64_t give_up = mp::platform::monotonic_ns() + 200'000;
        while (met_.load() < static_cast<std::int64_t>(2 * (round + 1)))
            if (mp::platform::monotonic_ns() > give_up)
                return false;
        return true;
    }
    /// The same, played: step gates make every step visible at once, so the buffer is one of ours.
    int play(std::size_t me, Actor& actor) {
        const auto own_name = static_cast<std::uint16_t>(me);
        const auto other_name = static_cast<std::uint16_t>(1 - me);
        actor.compute(into_buffer);
        if (cured_) {
            actor.store(number_[me], 1, own_name); // the fence waits for the buffer to be empty
            return actor.load(number_[1 - me], other_name);
        }
        const int seen = actor.load(number_[1 - me], other_name);
        actor.store(number_[me], 1, own_name);
        return seen;
    }

    bool cured_;
    bool settled_ = false; ///< each process has its own
    std::array<mp::Value<int>, 2> number_;
    std::array<mp::Value<int>, 2> seen_;
    static constexpr std::size_t tries = 100; ///< in a round
    static constexpr std::size_t apart = 32;  ///< each try has cache lines of its own
    std::array<mp::RawArray<int>, 2> numbers_{mp::RawArray<int>(tries * apart),
                                              mp::RawArray<int>(tries* apart)};
    std::array<mp::RawArray<int>, 2> results_{mp::RawArray<int>(tries), mp::RawArray<int>(tries)};
    std::array<mp::Value<int>, 2> done_;
    mp::Value<std::int64_t> met_{0};
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo buffer;
    buffer.name = "store-buffer";
    buffer.summary =
        "Two processes store 1 to their own number and load the other's. Counts how often\n"
        "both load 0: without a fence between the two steps, and with one.\n";
    buffer.title = "Store, then load: can both come too late?";
    buffer.lead = "x and y are 0. Process-1 does x = 1 and then loads y; Process-2 does y = 1 and "
                  "then loads x. Whoever is second must see a 1, in any order of the four steps.";
    buffer.without = "no fence";
    buffer.with = "fence";
    buffer.wrong = "both 0";
    buffer.rounds = 100'000;
    buffer.moral = "A processor puts a store into its store buffer and goes on; the load overtakes "
                   "it. A fence, or a sequentially consistent store, waits until the buffer is "
                   "empty. With --step the demo plays the buffer: it holds each store back.";
    buffer.luck =
        "Both never loaded 0 this time. It takes two processors that are free at the same "
        "moment; --step shows what can happen, every time.";
    buffer.make = [](bool cured, std::size_t) { return std::make_unique<StoreBuffer>(cured); };
    return race_main(buffer, argc, argv);
}
