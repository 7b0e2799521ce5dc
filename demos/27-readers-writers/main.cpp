// Two readers and a writer. Readers do not disturb each other, so a lock that keeps them apart is
// more than is needed; none at all is too little.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/rwlock.hpp>

#include <fmt/format.h>

#include <array>

namespace {

namespace mp = multifork;
using namespace demo;

enum : std::uint16_t { price_name, tax_name, lock_name };
constexpr std::size_t writer = 2;

class ReadersWriters : public Race {
public:
    explicit ReadersWriters(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Reader-1", "Reader-2", "Writer"}; }
    Names names() const override { return {{"price", "tax", "RWLock"}, "price", price_name}; }
    void set_up() override {
        price_.store(100);
        tax_.store(20);
        inside_.store(0);
        together_.store(0);
    }
    void work(std::size_t me, Actor& actor) override {
        if (me == writer)
            write(actor);
        else
            read(me, actor);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        for (std::size_t i : {0U, 1U}) {
            const int price = seen_price_[i].load();
            const int tax = seen_tax_[i].load();
            if (tax * 5 != price)
                return {true, fmt::format("Reader-{} saw a price of {} and a tax of {}, which do "
                                          "not belong together.",
                                          i + 1, price, tax)};
        }
        return {false, fmt::format("Both readers saw a price and its tax{}.",
                                   together_.load() > 1 ? ", and read at the same time" : "")};
    }
    void annotate(Chronicle& told) override {
        // A tax that does not belong to the price that the same reader had seen.
        std::array<bool, 3> saw_old{};
        for (Moment& moment : told.moments) {
            if (moment.text.starts_with("load price"))
                saw_old[moment.lane] = moment.text == "load price 100";
            if (moment.text.starts_with("load tax"))
                moment.is_bad = saw_old[moment.lane] != (moment.text == "load tax 20");
        }
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 2, 2, 0, 1}; }
    bool can_go(std::size_t part, const mp::lab::Step& step) override {
        if (step.access != mp::lab::Access::acquire)
            return true;
        return !lock_.writer() && (part != writer || lock_.readers() == 0);
    }

private:
    void read(std::size_t me, Actor& actor) {
        if (cured_)
            actor.act(Actor::Access::acquire, lock_name, [&] {
                lock_.lock_shared();
                return 0;
            });
        const int now = inside_.fetch_add(1) + 1;
        if (now > 1)
            together_.store(now);
        seen_price_[me].store(actor.load(price_, price_name));
        actor.be_busy(200);
        seen_tax_[me].store(actor.load(tax_, tax_name));
        inside_.fetch_sub(1);
        if (cured_)
            actor.act(Actor::Access::release, lock_name, [&] {
                lock_.unlock_shared();
                return 0;
            });
    }
    void write(Actor& actor) {
        actor.be_busy(150);
        if (cured_)
            actor.acquire(lock_, lock_name);
        actor.store(price_, 200, price_name);
        actor.store(tax_, 40, tax_name);
        if (cured_)
            actor.release(lock_, lock_name);
    }

    bool cured_;
    mp::Value<int> price_{100};
    mp::Value<int> tax_{20};
    mp::Value<int> inside_{0};
    mp::Value<int> together_{0};
    std::array<mp::Value<int>, 2> seen_price_;
    std::array<mp::Value<int>, 2> seen_tax_;
    mp::RWLock lock_;
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo readers;
    readers.name = "readers-writers";
    readers.summary =
        "Two processes read a price and its tax while a third one changes both: without\n"
        "a lock, and with an RWLock that lets readers in together.\n";
    readers.title = "Two readers and a writer";
    readers.lead = "The tax is a fifth of the price. The writer changes 100 and 20 to 200 and 40; "
                   "each reader reads the price, then the tax.";
    readers.with = "RWLock";
    readers.wrong = "mismatch";
    readers.moral = "Many may read, or one may write. An RWLock knows who reads and who writes, so "
                    "that readers wait for a writer and never for each other.";
    readers.make = [](bool cured, std::size_t) { return std::make_unique<ReadersWriters>(cured); };
    return race_main(readers, argc, argv);
}
