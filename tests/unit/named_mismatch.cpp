#include <multifork/channel/list.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "arena/layout.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mp = multifork;
namespace arena = multifork::arena;
namespace support = multifork::test;
namespace fs = std::filesystem;

// A name behind which there is something else than was asked for.

namespace {

std::string path_of(const std::string& name) {
    return "/dev/shm/multifork." + name;
}

template <class T>
void overwrite(const std::string& path, std::size_t offset, T value) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
    BOOST_TEST_REQUIRE(file.good());
}

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    BOOST_TEST_REQUIRE(file.good());
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Makes a file look as if a program had it open. Before anything is written to it: a leftover
/// that looks like one of ours is removed by whichever test next looks for them.
class InUse {
public:
    explicit InUse(const std::string& path)
        : path_(path), fd_(::open(path.c_str(), O_RDWR | O_CREAT, 0600)) {
        BOOST_TEST_REQUIRE(::flock(fd_, LOCK_SH) == 0);
    }
    ~InUse() {
        ::close(fd_);
        fs::remove(path_);
    }
    InUse(const InUse&) = delete;
    InUse& operator=(const InUse&) = delete;

private:
    std::string path_;
    int fd_;
};

/// A type whose name is long, and differs at its end alone.
template <char... letters>
struct Letters {};
template <class Many, char last>
struct Ending {
    int number = 0;
};
template <std::size_t... I>
Letters<static_cast<char>('A' + I % 26)...> letters_of(std::index_sequence<I...>);
template <std::size_t n, char last>
using Named = Ending<decltype(letters_of(std::make_index_sequence<n>{})), last>;

/// No form of opening may accept what is there, or take it away.
template <class Open>
void refused(const std::string& name, std::initializer_list<std::string_view> words, Open open) {
    support::expect_error<mp::LayoutMismatch>([&] { open(); }, words);
    BOOST_TEST(fs::exists(path_of(name)));
}

void queue_refused(const std::string& name, std::initializer_list<std::string_view> words) {
    refused(name, words, [&] { static_cast<void>(mp::Queue<int>::open(name, 4)); });
    refused(name, words, [&] { static_cast<void>(mp::Queue<int>::open_or_create(name, 4)); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(named_mismatch)

BOOST_AUTO_TEST_CASE(another_element_type) {
    const std::string name = support::unique_name("type");
    auto queue = mp::Queue<int>::create(name, 4);
    const auto open = [&]<class T>(T) { static_cast<void>(mp::Queue<T>::open(name, 4)); };
    refused(name, {name, "type"}, [&] { open(1U); });
    refused(name, {name, "type"}, [&] { open(1.5F); });
    refused(name, {name, "type"}, [&] { open(1.5); });
    refused(name, {name, "type"}, [&] { open(std::string()); });
    queue.put(5); // and the object that is there is none the worse
    BOOST_TEST(queue.get() == 5);
}

// Longer than the room that a file has for it, and the difference is at the end.
BOOST_AUTO_TEST_CASE(another_element_type_with_a_long_name) {
    const std::string name = support::unique_name("long-type");
    using One = Named<300, 'a'>;
    using Other = Named<300, 'b'>;
    using Shorter = Named<299, 'a'>;
    BOOST_TEST_REQUIRE(std::string(typeid(One).name()).size() > 256u);
    auto list = mp::List<One>::create(name);
    refused(name, {name, "type"}, [&] { static_cast<void>(mp::List<Other>::open(name)); });
    refused(name, {name, "type"},
            [&] { static_cast<void>(mp::List<Other>::open_or_create(name)); });
    refused(name, {name, "type"}, [&] { static_cast<void>(mp::List<Shorter>::open(name)); });
    list.append({});
    BOOST_TEST(mp::List<One>::open(name).size() == 1u);
}

BOOST_AUTO_TEST_CASE(another_kind_of_object) {
    const std::string name = support::unique_name("kind");
    const auto lock = mp::Lock::create(name);
    refused(name, {name, "Semaphore"}, [&] { static_cast<void>(mp::Semaphore::open(name)); });
    refused(name, {name, "Value"}, [&] { static_cast<void>(mp::Value<int>::open(name)); });
    refused(name, {name, "Queue"}, [&] { static_cast<void>(mp::Queue<int>::open(name, 1)); });
}

BOOST_AUTO_TEST_CASE(another_capacity) {
    const std::string name = support::unique_name("capacity");
    const auto queue = mp::Queue<int>::create(name, 4);
    for (const std::size_t capacity : {3U, 5U, 4000U})
        refused(name, {name, "capacity"},
                [&] { static_cast<void>(mp::Queue<int>::open_or_create(name, capacity)); });
    const auto permits = mp::Semaphore::create(name + "-s", 2);
    refused(name + "-s", {name}, [&] { static_cast<void>(mp::Semaphore::open(name + "-s", 3)); });
    const auto texts = mp::Queue<std::string>::create(name + "-t", 4, 1 << 20);
    refused(name + "-t", {name},
            [&] { static_cast<void>(mp::Queue<std::string>::open(name + "-t", 4, 2 << 20)); });
}

BOOST_AUTO_TEST_CASE(another_layout_version) {
    const std::string name = support::unique_name("version");
    const auto queue = mp::Queue<int>::create(name, 4);
    overwrite<std::uint32_t>(path_of(name), offsetof(arena::SegmentHeader, version), 77);
    queue_refused(name, {name, "version 77", "remove"});
}

BOOST_AUTO_TEST_CASE(another_pointer_size) {
    const std::string name = support::unique_name("pointer");
    const auto queue = mp::Queue<int>::create(name, 4);
    overwrite<std::uint16_t>(path_of(name), offsetof(arena::SegmentHeader, pointer_bytes), 4);
    queue_refused(name, {name, "4-byte pointers"});
}

BOOST_AUTO_TEST_CASE(another_byte_order) {
    const std::string name = support::unique_name("order");
    const auto queue = mp::Queue<int>::create(name, 4);
    overwrite<std::uint16_t>(path_of(name), offsetof(arena::SegmentHeader, byte_order), 0x0201);
    queue_refused(name, {name, "byte order"});
}

BOOST_AUTO_TEST_CASE(a_truncated_file) {
    const std::string name = support::unique_name("cut");
    std::string whole;
    {
        const auto queue = mp::Queue<int>::create(name, 4);
        whole = read_file(path_of(name));
    }
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{4}, std::size_t{8}, std::size_t{100}, std::size_t{4096},
          whole.size() / 2, whole.size() - 1, whole.size() + 4096}) {
        std::string bytes = whole;
        bytes.resize(length);
        const InUse in_use(path_of(name));
        write_file(path_of(name), bytes);
        queue_refused(name, {name});
    }
}

BOOST_AUTO_TEST_CASE(a_header_with_any_field_overwritten) {
    const std::string name = support::unique_name("field");
    std::string whole;
    {
        const auto queue = mp::Queue<int>::create(name, 4);
        whole = read_file(path_of(name));
    }
    for (std::size_t at = 0; at < offsetof(arena::SegmentHeader, parameters); at += 4)
        for (const std::uint32_t value : {0U, 1U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
            const InUse in_use(path_of(name));
            write_file(path_of(name), whole);
            overwrite(path_of(name), at, value);
            if (read_file(path_of(name)) == whole || at == offsetof(arena::SegmentHeader, root))
                continue;
            try {
                auto queue = mp::Queue<int>::open(name, 4);
                BOOST_TEST(queue.capacity() == 4U); // a field that does not matter
            } catch (const mp::Error&) {
            }
        }
}

BOOST_AUTO_TEST_CASE(a_file_of_random_bytes) {
    const std::string name = support::unique_name("random");
    std::uint32_t random = 1;
    for (const std::size_t length :
         {std::size_t{1}, std::size_t{8}, std::size_t{512}, std::size_t{100'000}}) {
        std::string bytes(length, '\0');
        for (char& byte : bytes) {
            random = random * 1664525 + 1013904223;
            byte = static_cast<char>(random >> 24);
        }
        write_file(path_of(name), bytes);
        queue_refused(name, {name, "not made by multifork", "remove"});
        BOOST_TEST((read_file(path_of(name)) == bytes)); // not ours: untouched
        BOOST_TEST(mp::Queue<int>::remove(name));
    }
}

BOOST_AUTO_TEST_CASE(something_that_is_no_file) {
    const std::string name = support::unique_name("nofile");
    const std::string path = path_of(name);
    const auto refused_somehow = [&] {
        BOOST_CHECK_THROW(static_cast<void>(mp::Queue<int>::open(name, 4)), mp::Error);
        BOOST_CHECK_THROW(static_cast<void>(mp::Queue<int>::open_or_create(name, 4)), mp::Error);
    };
    fs::create_directory(path);
    refused_somehow();
    fs::remove(path);
    fs::create_symlink("/dev/null", path);
    refused_somehow();
    fs::remove(path);
    BOOST_TEST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    refused_somehow();
    fs::remove(path);
}

BOOST_AUTO_TEST_CASE(another_users_file) {
    if (::geteuid() != 0)
        return support::skip("only root can make a file of another user's");
    const std::string name = support::unique_name("other");
    const auto queue = mp::Queue<int>::create(name, 4);
    BOOST_TEST_REQUIRE(::chown(path_of(name).c_str(), 65534, 65534) == 0);
    const auto open = [&] { static_cast<void>(mp::Queue<int>::open(name, 4)); };
    support::expect_error<mp::Error>(open, {name, "another user", "65534"});
    support::expect_error<mp::Error>(
        [&] { static_cast<void>(mp::Queue<int>::open_or_create(name, 4)); }, {"another user"});
    BOOST_TEST_REQUIRE(::chown(path_of(name).c_str(), 0, 0) == 0);
}

BOOST_AUTO_TEST_CASE(counters_that_no_process_can_have_written) {
    const std::string name = support::unique_name("counters");
    auto queue = mp::Queue<int>::create(name, 4);
    std::uint64_t root = 0;
    {
        std::ifstream file(path_of(name), std::ios::binary);
        file.seekg(offsetof(arena::SegmentHeader, root));
        file.read(reinterpret_cast<char*>(&root), sizeof root);
    }
    const std::size_t tail = root + offsetof(mp::core::RingHeader, tail);
    const std::size_t tail_slot = root + offsetof(mp::core::RingHeader, tail_slot);
    queue.put(1);
    overwrite<std::uint64_t>(path_of(name), tail_slot, 1'000'000);
    support::expect_error<mp::CorruptSharedMemory>([&] { queue.put(2); }, {"overwritten"});
    overwrite<std::uint64_t>(path_of(name), tail, std::uint64_t{1} << 40);
    support::expect_error<mp::CorruptSharedMemory>([&] { static_cast<void>(queue.get()); },
                                                   {"overwritten"});
    support::expect_error<mp::CorruptSharedMemory>([&] { queue.put(2); }, {"overwritten"});
}

BOOST_AUTO_TEST_SUITE_END()
