#include <multifork/multifork.hpp>

#include "support/errors.hpp"
#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

constexpr std::size_t longest = 200;

/// A type that can be named, and how its objects are made and opened; what comes is kept as long as
/// the result.
struct Kind {
    using Made = std::shared_ptr<void>;
    std::string_view what;
    Made (*create)(std::string_view);
    Made (*open)(std::string_view);
    Made (*open_or_create)(std::string_view);
    bool (*remove)(std::string_view);
};

template <class Type>
Kind::Made keep(Type object) {
    return std::make_shared<Type>(std::move(object));
}
template <class Type>
bool remove(std::string_view name) {
    return Type::remove(name);
}
template <class Type, auto... shape>
constexpr Kind opened_by(Kind::Made (*open)(std::string_view), std::string_view what) {
    return {what, [](std::string_view name) { return keep(Type::create(name, shape...)); }, open,
            [](std::string_view name) { return keep(Type::open_or_create(name, shape...)); },
            remove<Type>};
}
/// Made of `shape`, and opened as it is.
template <class Type, auto... shape>
constexpr Kind opened_as_it_is(std::string_view what) {
    return opened_by<Type, shape...>([](std::string_view name) { return keep(Type::open(name)); },
                                     what);
}
/// Whoever opens it says the shape, too.
template <class Type, auto... shape>
constexpr Kind opened_by_shape(std::string_view what) {
    return opened_by<Type, shape...>(
        [](std::string_view name) { return keep(Type::open(name, shape...)); }, what);
}

const Kind lock = opened_as_it_is<mp::Lock>("Lock");
const Kind semaphore = opened_by_shape<mp::Semaphore, 2>("Semaphore");
const Kind value = opened_as_it_is<mp::Value<int>>("Value");
const Kind queue = opened_by_shape<mp::Queue<std::string>, 4>("Queue");
const Kind shared_memory = opened_as_it_is<mp::SharedMemory, 8>("SharedMemory");
const Kind shareable_list = {
    "ShareableList",
    [](std::string_view name) {
        return keep(mp::ShareableList::create(name, {1, "two"}));
    },
    [](std::string_view name) { return keep(mp::ShareableList::open(name)); },
    [](std::string_view name) { return keep(mp::ShareableList::create(name, {})); }, // has no other
    remove<mp::ShareableList>};
const std::array kinds{
    lock,
    semaphore,
    value,
    queue,
    shared_memory,
    shareable_list,
    opened_by_shape<mp::Barrier, 2>("Barrier"),
    opened_by_shape<mp::JoinableQueue<std::string>, 4>("JoinableQueue"),
    opened_as_it_is<mp::RLock>("RLock"),
    opened_as_it_is<mp::BoundedSemaphore>("BoundedSemaphore"),
    opened_as_it_is<mp::Condition>("Condition"),
    opened_as_it_is<mp::Event>("Event"),
    opened_as_it_is<mp::RWLock>("RWLock"),
    opened_as_it_is<mp::SimpleQueue<int>>("SimpleQueue"),
    opened_as_it_is<mp::List<int>>("List"),
    opened_as_it_is<mp::Dict<int, int>>("Dict"),
    opened_as_it_is<mp::Namespace>("Namespace"),
    opened_as_it_is<mp::Array<int>, 8>("Array"),
    opened_as_it_is<mp::RawArray<int>, 8>("RawArray"),
};

/// A ShareableList lies in a SharedMemory, which may be opened as what it is.
bool same_object(const Kind& made, const Kind& opened) {
    return made.what == opened.what ||
           (made.what == shareable_list.what && opened.what == shared_memory.what);
}

void expect_refused(std::string_view name, std::string_view word) {
    for (const Kind& kind : kinds)
        BOOST_TEST_CONTEXT(kind.what)
    for (const auto act : {kind.create, kind.open, kind.open_or_create})
        support::expect_error<mp::InvalidArgument>([&] { act(name); }, {"name", word});
    for (const Kind& kind : kinds)
        BOOST_TEST_CONTEXT(kind.what)
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(kind.remove(name)); },
                                               {"name", word});
}

} // namespace

BOOST_AUTO_TEST_SUITE(bad_names)

BOOST_AUTO_TEST_CASE(an_empty_name) {
    expect_refused("", "empty");
}

BOOST_AUTO_TEST_CASE(a_name_with_a_slash) {
    for (const char* name : {"/", "/jobs", "a/b", "jobs/", "../jobs", "../../etc/passwd"})
        expect_refused(name, "slash");
}

BOOST_AUTO_TEST_CASE(a_name_with_a_zero_byte) {
    for (const std::string_view name :
         {std::string_view("\0", 1), std::string_view("a\0b", 3), std::string_view("jobs\0", 5)})
        expect_refused(name, "zero byte");
}

BOOST_AUTO_TEST_CASE(a_name_too_long) {
    for (const std::size_t length : {longest + 1, std::size_t{256}, std::size_t{100'000}})
        expect_refused(std::string(length, 'x'), "at most 200");
}

BOOST_AUTO_TEST_CASE(the_longest_name_and_odd_ones_will_do) {
    std::string name = support::unique_name("longest");
    name.resize(longest, 'x');
    for (const std::string& good :
         {name, support::unique_name("."), support::unique_name(".."),
          support::unique_name(" two\nlines "), support::unique_name("\xc3\xa4\xff%s{}")})
        for (const Kind& kind : kinds) {
            const auto made = kind.create(good);
            BOOST_CHECK_NO_THROW(kind.open(good));
        }
}

BOOST_AUTO_TEST_CASE(open_of_a_name_that_does_not_exist) {
    const std::string name = support::unique_name("absent");
    for (const Kind& kind : kinds) {
        support::expect_error<mp::NotFound>([&] { kind.open(name); }, {name, "create"});
        BOOST_TEST(!kind.remove(name), kind.what);
    }
}

BOOST_AUTO_TEST_CASE(create_of_a_name_in_use) {
    const std::string name = support::unique_name("taken");
    for (const Kind& kind : kinds) {
        const auto made = kind.create(name);
        support::expect_error<mp::AlreadyExists>([&] { kind.create(name); },
                                                 {name, "exists", "open it"});
        BOOST_CHECK_NO_THROW(kind.open(name)); // it took no harm
    }
}

BOOST_AUTO_TEST_CASE(open_as_another_kind) {
    const std::string name = support::unique_name("kind");
    const auto refused = [&](auto act) {
        support::expect_error<mp::LayoutMismatch>(act, {name, "exists", "same type"});
    };
    {
        const auto made = lock.create(name);
        for (const auto act : {semaphore.open, semaphore.open_or_create, value.open, queue.open})
            refused([&] { act(name); });
    }
    {
        const auto made = mp::Queue<int>::create(name, 4);
        for (const auto act : {lock.open, value.open, queue.open})
            refused([&] { act(name); });
    }
}

/// No type takes another's object for its own.
BOOST_AUTO_TEST_CASE(open_as_each_other_kind) {
    const std::string name = support::unique_name("kinds");
    for (const Kind& kind : kinds) {
        const auto made = kind.create(name);
        for (const Kind& other : kinds)
            if (!same_object(kind, other))
                BOOST_TEST(support::throws<mp::LayoutMismatch>([&] { other.open(name); }),
                           "a " << kind.what << " was opened as a " << other.what);
        BOOST_CHECK_NO_THROW(kind.open(name)); // it took no harm
    }
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
