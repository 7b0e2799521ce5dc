// Two processes withdraw from one account. Each looks first whether there is enough: check, then
// act. Between the two the other one looks as well.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/lock.hpp>

#include <fmt/format.h>

namespace {

namespace mp = multifork;
using namespace demo;

enum : std::uint16_t { balance_name, account_lock, enough, too_little, paid };

class Account : public Race {
public:
    explicit Account(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Alice", "Bob"}; }
    Names names() const override {
        return {{"", "lock", "70 is there", "not enough", "70 paid out"}, "balance", balance_name};
    }
    void set_up() override {
        balance_.store(100);
        paid_out_.store(0);
    }
    void work(std::size_t, Actor& actor) override {
        if (cured_)
            actor.acquire(lock_, account_lock);
        const int seen = actor.load(balance_, balance_name);
        if (seen >= amount) {
            actor.compute(enough);
            actor.be_busy(5'000); // counts the notes
            actor.store(balance_, seen - amount, balance_name);
            paid_out_.fetch_add(amount);
            actor.mark(paid);
        } else {
            actor.compute(too_little);
        }
        if (cured_)
            actor.release(lock_, account_lock);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const int out = paid_out_.load();
        if (out > 100)
            return {true, fmt::format("{} were paid out of an account with 100, and it says {}.",
                                      out, balance_.load())};
        return {false,
                fmt::format("{} were paid out of 100, and {} are left.", out, balance_.load())};
    }
    void annotate(Chronicle& told) override {
        // The second payment is the one that should not have been.
        std::size_t payments = 0;
        for (Moment& moment : told.moments)
            if (moment.text == "70 paid out" && ++payments == 2)
                moment.is_bad = true;
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 0, 1, 0, 1}; }
    bool can_go(std::size_t, const mp::lab::Step& step) override {
        return step.access != mp::lab::Access::acquire || !lock_.owner();
    }

private:
    static constexpr int amount = 70;
    bool cured_;
    mp::Value<int> balance_{100};
    mp::Value<int> paid_out_{0};
    mp::Lock lock_;
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo account;
    account.name = "bank-account";
    account.summary =
        "Two processes withdraw 70 from an account that has 100, at the same moment:\n"
        "without a lock, and with one.\n";
    account.title = "Two withdrawals of 70 from an account with 100";
    account.lead = "Each process looks whether 70 are there, and if so takes them. Only one of the "
                   "two can get its money.";
    account.wrong = "both paid";
    account.moral = "Check and act must be one: whoever checks holds the lock until it has acted. "
                    "A lock for the check and another for the act would not help.";
    account.make = [](bool cured, std::size_t) { return std::make_unique<Account>(cured); };
    return race_main(account, argc, argv);
}
