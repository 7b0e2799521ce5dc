#include <multifork/multifork.hpp>

#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <multifork/core/container_cell.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace core = multifork::core;

namespace {

/// What becomes of an operation of which a function forks a child that returns from it. While the
/// parent still stands in the function, the child has ended.
class Forked {
public:
    /// \param held       whether the parent holds what the operation has taken
    /// \param operation  gets what its function is to call
    Forked(const std::function<bool()>& held,
           const std::function<void(const std::function<void()>&)>& operation) {
        pid_t child = -1;
        const auto fork_inside = [&] {
            if (child != -1)
                return; // a comparison is called more than once
            child = ::fork();
            if (child == 0)
                return;
            int status = 0;
            BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
            child_said_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
            held_ = held();
        };
        int said = went_on;
        try {
            operation(fork_inside);
        } catch (const mp::NotOwner& error) {
            const std::string_view text = error.what();
            said = text.find("fork()") != text.npos && text.find("_exit()") != text.npos ? was_told
                                                                                         : strange;
        } catch (...) {
            said = strange;
        }
        if (child == 0)
            ::_exit(said);
        parent_went_on_ = said == went_on;
    }

    /// The child changed nothing and took nothing away; the parent has done what it was to do.
    void check() const {
        BOOST_TEST(child_said_ == was_told);
        BOOST_TEST(held_);
        BOOST_TEST(parent_went_on_);
    }

private:
    static constexpr int went_on = 1;
    static constexpr int was_told = 2;
    static constexpr int strange = 3;

    int child_said_ = 0;
    bool held_ = false;
    bool parent_went_on_ = false;
};

/// A container whose lock a test can look at.
template <class C>
struct Seen {
    std::string name = support::unique_name("forked");
    C container = C::create(name, 256u << 10);
    support::Bytes bytes{name};

    [[nodiscard]] bool locked() const {
        return bytes.template root<core::ContainerHeader>().lock.word.load() != 0;
    }
};

} // namespace

// A function that an operation calls forks, and returns in the child too: the operation is the
// parent's.
BOOST_AUTO_TEST_SUITE(forked_inside)

BOOST_AUTO_TEST_CASE(a_list) {
    const Seen<mp::List<int>> list;
    list.container.extend({3, 2, 1});
    const auto held = [&] { return list.locked(); };
    Forked(held, [&](const auto& fork_inside) {
        list.container.fetch_update(0, [&](int& n) {
            fork_inside();
            n += 1;
        });
    }).check();
    BOOST_TEST((list.container.copy() == std::vector{4, 2, 1}));
    Forked(held, [&](const auto& fork_inside) {
        list.container.sort([&](const auto& a, const auto& b) {
            fork_inside();
            return a < b;
        });
    }).check();
    BOOST_TEST((list.container.copy() == std::vector{1, 2, 4}));
    BOOST_TEST(!list.locked());
    BOOST_TEST(list.container.repairs() == 0u);
}

BOOST_AUTO_TEST_CASE(a_dict_and_a_namespace) {
    const Seen<mp::Dict<std::string, int>> dict;
    Forked([&] { return dict.locked(); },
           [&](const auto& fork_inside) {
               dict.container.fetch_update(
                   "a",
                   [&](int& n) {
                       fork_inside();
                       n += 1;
                   },
                   5);
           })
        .check();
    BOOST_TEST(dict.container.at("a") == 6);
    BOOST_TEST(!dict.locked());
    const Seen<mp::Namespace> attributes;
    attributes.container.set("x", 1);
    Forked([&] { return attributes.locked(); },
           [&](const auto& fork_inside) {
               attributes.container.fetch_update<int>("x", [&](int& n) {
                   fork_inside();
                   n += 1;
               });
           })
        .check();
    BOOST_TEST(attributes.container.get<int>("x") == 2);
    BOOST_TEST(!attributes.locked());
}

BOOST_AUTO_TEST_CASE(a_value) {
    const mp::Value<std::array<int, 4>> value;
    Forked([&] { return value.get_lock().owner().has_value(); },
           [&](const auto& fork_inside) {
               value.update([&](std::array<int, 4>& a) {
                   fork_inside();
                   a[0] += 1;
               });
           })
        .check();
    BOOST_TEST(value.load()[0] == 1);
    BOOST_TEST(!value.get_lock().owner());
}

/// Makes a lock whose owner has died.
template <class L>
void abandon(L& lock) {
    const pid_t child = ::fork();
    if (child == 0) {
        lock.lock();
        ::_exit(0);
    }
    BOOST_TEST_REQUIRE(::waitpid(child, nullptr, 0) == child);
}

BOOST_AUTO_TEST_CASE(the_repair_of_a_lock) {
    mp::Lock lock;
    abandon(lock);
    Forked([&] { return lock.owner() && lock.owner()->pid == ::getpid(); },
           [&](const auto& fork_inside) { BOOST_TEST(lock.recover(fork_inside)); })
        .check();
    BOOST_TEST(!lock.owner());
    mp::RWLock rwlock;
    abandon(rwlock);
    Forked([&] { return rwlock.writer() && rwlock.writer()->pid == ::getpid(); },
           [&](const auto& fork_inside) { BOOST_TEST(rwlock.recover(fork_inside)); })
        .check();
    BOOST_TEST(!rwlock.writer());
}

BOOST_AUTO_TEST_CASE(the_action_of_a_barrier) {
    std::function<void()> act;
    const mp::Barrier barrier{1, [&] { act(); }};
    Forked([&] { return barrier.waiting() == 1 && !barrier.broken(); },
           [&](const auto& fork_inside) {
               act = fork_inside;
               barrier.arrive_and_wait();
           })
        .check();
    BOOST_TEST(barrier.waiting() == 0u);
    BOOST_TEST(!barrier.broken());
}

BOOST_AUTO_TEST_SUITE_END()
