#include <multifork/multifork.hpp>

#include "support/errors.hpp"
#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

constexpr std::size_t longest = 200;

// One shape for the types whose create(), open() and open_or_create() want different arguments.
struct LockKind {
    static auto create(std::string_view name) { return mp::Lock::create(name); }
    static auto open(std::string_view name) { return mp::Lock::open(name); }
    static auto open_or_create(std::string_view name) { return mp::Lock::open_or_create(name); }
    static bool remove(std::string_view name) { return mp::Lock::remove(name); }
};
struct SemaphoreKind {
    static auto create(std::string_view name) { return mp::Semaphore::create(name, 2); }
    static auto open(std::string_view name) { return mp::Semaphore::open(name, 2); }
    static auto open_or_create(std::string_view name) {
        return mp::Semaphore::open_or_create(name, 2);
    }
    static bool remove(std::string_view name) { return mp::Semaphore::remove(name); }
};
struct ValueKind {
    using Type = mp::Value<int>;
    static auto create(std::string_view name) { return Type::create(name); }
    static auto open(std::string_view name) { return Type::open(name); }
    static auto open_or_create(std::string_view name) { return Type::open_or_create(name); }
    static bool remove(std::string_view name) { return Type::remove(name); }
};
struct QueueKind {
    using Type = mp::Queue<std::string>;
    static auto create(std::string_view name) { return Type::create(name, 4); }
    static auto open(std::string_view name) { return Type::open(name, 4); }
    static auto open_or_create(std::string_view name) { return Type::open_or_create(name, 4); }
    static bool remove(std::string_view name) { return Type::remove(name); }
};
struct BarrierKind {
    static auto create(std::string_view name) { return mp::Barrier::create(name, 2); }
    static auto open(std::string_view name) { return mp::Barrier::open(name, 2); }
    static auto open_or_create(std::string_view name) {
        return mp::Barrier::open_or_create(name, 2);
    }
    static bool remove(std::string_view name) { return mp::Barrier::remove(name); }
};
struct JoinableQueueKind {
    using Type = mp::JoinableQueue<std::string>;
    static auto create(std::string_view name) { return Type::create(name, 4); }
    static auto open(std::string_view name) { return Type::open(name, 4); }
    static auto open_or_create(std::string_view name) { return Type::open_or_create(name, 4); }
    static bool remove(std::string_view name) { return Type::remove(name); }
};
struct ShareableListKind {
    using Type = mp::ShareableList;
    static auto create(std::string_view name) { return Type::create(name, {1, "two"}); }
    static auto open(std::string_view name) { return Type::open(name); }
    static auto open_or_create(std::string_view name) { return Type::create(name, {}); } // has none
    static bool remove(std::string_view name) { return Type::remove(name); }
};
/// What needs a name alone.
template <class Type>
struct Plain {
    static auto create(std::string_view name) { return Type::create(name); }
    static auto open(std::string_view name) { return Type::open(name); }
    static auto open_or_create(std::string_view name) { return Type::open_or_create(name); }
    static bool remove(std::string_view name) { return Type::remove(name); }
};
/// What is made of a size, and opened as it is.
template <class Type>
struct Sized {
    static auto create(std::string_view name) { return Type::create(name, 8); }
    static auto open(std::string_view name) { return Type::open(name); }
    static auto open_or_create(std::string_view name) { return Type::open_or_create(name, 8); }
    static bool remove(std::string_view name) { return Type::remove(name); }
};
using Kinds = std::tuple<LockKind, SemaphoreKind, ValueKind, QueueKind, BarrierKind,
                         JoinableQueueKind, ShareableListKind, Plain<mp::RLock>,
                         Plain<mp::BoundedSemaphore>, Plain<mp::Condition>, Plain<mp::Event>,
                         Plain<mp::RWLock>, Plain<mp::SimpleQueue<int>>, Plain<mp::List<int>>,
                         Plain<mp::Dict<int, int>>, Plain<mp::Namespace>, Sized<mp::Array<int>>,
                         Sized<mp::RawArray<int>>, Sized<mp::SharedMemory>>;

/// A ShareableList lies in a SharedMemory, which may be opened as what it is.
template <class A, class B>
inline constexpr bool same_object = std::is_same_v<A, B> ||
                                    (std::is_same_v<A, ShareableListKind> &&
                                     std::is_same_v<B, Sized<mp::SharedMemory>>);

template <class Kind>
void expect_refused(std::string_view name, std::string_view word) {
    using Refused = mp::InvalidArgument;
    support::expect_error<Refused>([&] { Kind::create(name); }, {"name", word});
    support::expect_error<Refused>([&] { Kind::open(name); }, {"name", word});
    support::expect_error<Refused>([&] { Kind::open_or_create(name); }, {"name", word});
    support::expect_error<Refused>([&] { static_cast<void>(Kind::remove(name)); }, {"name", word});
}

} // namespace

BOOST_AUTO_TEST_SUITE(bad_names)

BOOST_AUTO_TEST_CASE_TEMPLATE(an_empty_name, Kind, Kinds) {
    expect_refused<Kind>("", "empty");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_name_with_a_slash, Kind, Kinds) {
    for (const char* name : {"/", "/jobs", "a/b", "jobs/", "../jobs", "../../etc/passwd"})
        expect_refused<Kind>(name, "slash");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_name_with_a_zero_byte, Kind, Kinds) {
    for (const std::string_view name :
         {std::string_view("\0", 1), std::string_view("a\0b", 3), std::string_view("jobs\0", 5)})
        expect_refused<Kind>(name, "zero byte");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_name_too_long, Kind, Kinds) {
    for (const std::size_t length : {longest + 1, std::size_t{256}, std::size_t{100'000}})
        expect_refused<Kind>(std::string(length, 'x'), "at most 200");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_longest_name_and_odd_ones_will_do, Kind, Kinds) {
    std::string name = support::unique_name("longest");
    name.resize(longest, 'x');
    for (const std::string& good :
         {name, support::unique_name("."), support::unique_name(".."),
          support::unique_name(" two\nlines "), support::unique_name("\xc3\xa4\xff%s{}")}) {
        const auto made = Kind::create(good);
        static_cast<void>(Kind::open(good));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(open_of_a_name_that_does_not_exist, Kind, Kinds) {
    const std::string name = support::unique_name("absent");
    support::expect_error<mp::NotFound>([&] { Kind::open(name); }, {name, "create"});
    BOOST_TEST(!Kind::remove(name));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(create_of_a_name_in_use, Kind, Kinds) {
    const std::string name = support::unique_name("taken");
    const auto made = Kind::create(name);
    support::expect_error<mp::AlreadyExists>([&] { Kind::create(name); },
                                             {name, "exists", "open it"});
    static_cast<void>(Kind::open(name)); // it took no harm
}

BOOST_AUTO_TEST_CASE(open_as_another_kind) {
    const std::string name = support::unique_name("kind");
    const auto refused = [&](auto act) {
        support::expect_error<mp::LayoutMismatch>(act, {name, "exists", "same type"});
    };
    {
        const auto made = LockKind::create(name);
        refused([&] { SemaphoreKind::open(name); });
        refused([&] { SemaphoreKind::open_or_create(name); });
        refused([&] { ValueKind::open(name); });
        refused([&] { QueueKind::open(name); });
    }
    {
        const auto made = mp::Queue<int>::create(name, 4);
        refused([&] { LockKind::open(name); });
        refused([&] { mp::Value<int>::open(name); });
        refused([&] { QueueKind::open(name); });
    }
}

/// No type takes another's object for its own.
template <class Made, class... Others>
void expect_only_its_own(std::tuple<Others...>*) {
    const std::string name = support::unique_name("kinds");
    const auto made = Made::create(name);
    const auto refuses = [&]<class Other>(Other*) {
        if constexpr (!same_object<Made, Other>)
            BOOST_CHECK_THROW(static_cast<void>(Other::open(name)), mp::LayoutMismatch);
    };
    (refuses(static_cast<Others*>(nullptr)), ...);
    static_cast<void>(Made::open(name)); // it took no harm
}

BOOST_AUTO_TEST_CASE_TEMPLATE(open_as_each_other_kind, Kind, Kinds) {
    expect_only_its_own<Kind>(static_cast<Kinds*>(nullptr));
}

BOOST_AUTO_TEST_CASE(open_as_another_type_even_of_the_same_size) {
    const std::string name = support::unique_name("type");
    const auto refused = [&](auto act) {
        support::expect_error<mp::LayoutMismatch>(act, {name, "exists", "type"});
    };
    {
        const auto made = mp::Value<int>::create(name, 1);
        refused([&] { mp::Value<unsigned>::open(name); });
        refused([&] { mp::Value<float>::open(name); });
        refused([&] { mp::Value<std::int64_t>::open(name); });
        BOOST_TEST(mp::Value<int>::open(name).load() == 1);
    }
    {
        const auto made = mp::Queue<std::string>::create(name, 4);
        using Other = mp::Queue<std::vector<int>>;
        refused([&] { Other::open(name, 4); });
        refused([&] { Other::open_or_create(name, 4); });
    }
}

BOOST_AUTO_TEST_CASE(open_with_other_parameters) {
    const std::string name = support::unique_name("parameters");
    const auto refused = [&](auto act) {
        support::expect_error<mp::LayoutMismatch>(act, {name, "exists", "capacity"});
    };
    {
        const auto made = mp::Queue<int>::create(name, 4);
        refused([&] { mp::Queue<int>::open(name, 5); });
        refused([&] { mp::Queue<int>::open(name, 3); });
        refused([&] { mp::Queue<int>::open_or_create(name, 4'000'000); });
    }
    {
        const auto made = mp::Queue<std::string>::create(name, 4, 65536);
        refused([&] { mp::Queue<std::string>::open(name, 4, 65537); });
    }
    {
        const auto made = mp::Semaphore::create(name, 2);
        support::expect_error<mp::LayoutMismatch>([&] { mp::Semaphore::open(name, 3); },
                                                  {name, "exists", "parameters"});
    }
}

BOOST_AUTO_TEST_CASE(absurd_sizes) {
    const std::string name = support::unique_name("absurd");
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    using Numbers = mp::Queue<int>;
    using Texts = mp::Queue<std::string>;
    const auto invalid = [](auto act, std::string_view word) {
        support::expect_error<mp::InvalidArgument>(act, {word});
    };
    invalid([&] { Numbers::create(name, 0); }, "capacity");
    invalid([&] { Numbers::create(name, most); }, "items");
    invalid([&] { Texts::create(name, most); }, "items");
    invalid([&] { mp::Semaphore::create(name, -1); }, "permits");
    for (const std::size_t room : {most, most / 2, std::size_t{1} << 40})
        invalid([&] { Texts::create(name, 4, room); }, std::to_string(room));
    invalid([&] { Numbers::create(name, std::size_t{1} << 40); }, "at most");
    BOOST_TEST(!mp::Lock::remove(name));
}

BOOST_AUTO_TEST_SUITE_END()
