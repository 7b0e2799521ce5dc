#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/skip.hpp"
#include "unit/named_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using mp::arena::SegmentHeader;

namespace {

using Number = mp::Value<int>;
using Texts = mp::Queue<std::string>;
constexpr std::size_t room = 65536;

void expect_mismatch(const std::function<void()>& act, std::string_view name,
                     std::string_view word) {
    support::expect_error<mp::LayoutMismatch>(act, {name, word});
}

std::vector<char> random_bytes(std::size_t count) {
    std::mt19937 random(4711);
    std::vector<char> bytes(count);
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    return bytes;
}

/// The bytes of a sound object, as another program would have left them.
std::vector<char> sound_bytes() {
    const std::string name = support::unique_name("sound");
    const auto made = Texts::create(name, 4, room);
    return support::bytes_of(name);
}

template <class T>
void set(std::vector<char>& bytes, std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

} // namespace

// Files under an object's name that are none, or not ours. Opening looks before it believes; what a
// file says later on is for damaged_memory.cpp.
BOOST_AUTO_TEST_SUITE(damaged_files)

BOOST_AUTO_TEST_CASE(a_header_that_does_not_fit) {
    const std::string name = support::unique_name("header");
    const std::vector<char> sound = sound_bytes();
    SegmentHeader header{};
    std::memcpy(static_cast<void*>(&header), sound.data(), sizeof header);
    const auto refused = [&](auto SegmentHeader::*, std::size_t offset, auto value,
                             std::string_view word) {
        std::vector<char> bytes = sound;
        set(bytes, offset, value);
        const support::ForeignFile file(name, bytes, true);
        expect_mismatch([&] { Texts::open(name, 4, room); }, name, word);
        expect_mismatch([&] { Texts::open_or_create(name, 4, room); }, name, word);
    };
#define REFUSED(member, value, word)                                                               \
    refused(&SegmentHeader::member, offsetof(SegmentHeader, member),                               \
            static_cast<decltype(header.member)>(value), word)
    const std::uint32_t next_version = mp::arena::layout_version + 1;
    REFUSED(version, next_version, "layout version 2");
    REFUSED(version, 0, "layout version 0");
    REFUSED(pointer_bytes, 4, "4-byte pointers");
    REFUSED(byte_order, 0x0201, "byte order");
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, header.bytes - 1, header.bytes + 4096, ~std::uint64_t{0}})
        REFUSED(bytes, bytes, "cut or overwritten");
    for (const std::uint32_t slots : {0u, 1u, header.thread_slots + 64, 65535u, ~0u}) {
        REFUSED(thread_slots, slots, "cut or overwritten");
        REFUSED(process_slots, slots + 100, "cut or overwritten");
    }
    for (const std::uint64_t offset :
         {std::uint64_t{0}, std::uint64_t{512}, header.bytes, ~std::uint64_t{0}}) {
        REFUSED(heap_begin, offset, "cut or overwritten");
        REFUSED(root, offset, "cut or overwritten");
    }
    REFUSED(root, header.root + 1, "cut or overwritten");
    REFUSED(root_bytes, header.bytes, "cut or overwritten");
    REFUSED(root_bytes, header.root_bytes + 1, "same type and capacity");
    REFUSED(root_kind, 0, "same type and capacity");
    REFUSED(root_kind, 77, "same type and capacity");
#undef REFUSED
}

// Those that are opened as long as they are: not shorter than what all of their kind begin with.
BOOST_AUTO_TEST_CASE(an_object_that_is_shorter_than_its_header) {
    const auto refused = [](std::vector<char> bytes, const auto&... opens) {
        const std::string name = support::unique_name("short");
        for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{63}}) {
            set(bytes, offsetof(SegmentHeader, root_bytes), length);
            const support::ForeignFile file(name, bytes, true);
            (expect_mismatch([&] { static_cast<void>(opens(name)); }, name,
                             "same type and capacity"),
             ...);
        }
    };
    const auto bytes_of = [](const auto& made, const std::string& name) {
        static_cast<void>(made);
        return support::bytes_of(name);
    };
    const std::string name = support::unique_name("whole");
    refused(
        bytes_of(mp::Array<int>::create(name, 5), name),
        [](const std::string& n) { return mp::Array<int>::open(n).size(); },
        [](const std::string& n) { return mp::Array<int>::open_or_create(n, 5).size(); });
    refused(bytes_of(mp::ShareableList::create(name, {1, 2}), name),
            [](const std::string& n) { return mp::ShareableList::open(n).size(); });
}

BOOST_AUTO_TEST_CASE(a_type_name_without_an_end) {
    const std::string name = support::unique_name("type");
    std::vector<char> bytes = sound_bytes();
    std::fill_n(bytes.begin() + offsetof(SegmentHeader, type_name),
                sizeof(SegmentHeader::type_name), 'x');
    const support::ForeignFile file(name, bytes, true);
    expect_mismatch([&] { Texts::open(name, 4, room); }, name, "xxx");
}

BOOST_AUTO_TEST_CASE(a_file_that_was_cut) {
    const std::string name = support::unique_name("cut");
    const std::vector<char> sound = sound_bytes();
    for (const std::size_t length :
         {std::size_t{8}, std::size_t{16}, std::size_t{100}, std::size_t{511}, std::size_t{512},
          std::size_t{4096}, sound.size() / 2, sound.size() - 4096, sound.size() - 1}) {
        const support::ForeignFile file(name, std::span(sound).first(length), true);
        expect_mismatch([&] { Texts::open(name, 4, room); }, name,
                        length > 50 ? "cut or overwritten" : "cannot be used");
        BOOST_TEST(support::has_file(name));
        BOOST_TEST(Texts::remove(name));
        static_cast<void>(Texts::create(name, 4, room));
    }
}

BOOST_AUTO_TEST_CASE(a_file_that_grew) {
    const std::string name = support::unique_name("grew");
    std::vector<char> bytes = sound_bytes();
    bytes.resize(bytes.size() + 4096);
    const support::ForeignFile file(name, bytes, true);
    expect_mismatch([&] { Texts::open(name, 4, room); }, name, "cut or overwritten");
}

BOOST_AUTO_TEST_CASE(a_leftover_goes_whatever_is_in_it) {
    const std::string name = support::unique_name("leftover");
    const std::vector<char> sound = sound_bytes();
    for (const std::size_t length : {std::size_t{8}, std::size_t{600}, sound.size()}) {
        const support::ForeignFile file(name, std::span(sound).first(length));
        support::expect_error<mp::NotFound>([&] { Texts::open(name, 4, room); }, {name});
        BOOST_TEST(!support::has_file(name));
    }
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_ours_is_refused_and_left_alone) {
    const std::string name = support::unique_name("foreign");
    const std::string text = "Dear diary";
    for (const bool in_use : {false, true})
        for (const std::vector<char>& bytes :
             {std::vector<char>{}, std::vector<char>(7, 'm'), std::vector<char>(8, '\0'),
              std::vector<char>(text.begin(), text.end()), random_bytes(100),
              random_bytes(200'000)}) {
            const support::ForeignFile file(name, bytes, in_use);
            for (const auto& act : std::vector<std::function<void()>>{
                     [&] { Texts::open(name, 4); }, [&] { Texts::open_or_create(name, 4); },
                     [&] { Number::open(name); }, [&] { mp::Lock::open(name); },
                     [&] { mp::Semaphore::open(name); }})
                expect_mismatch(act, name, "not made by multifork");
            support::expect_error<mp::AlreadyExists>([&] { Number::create(name); },
                                                     {name, "another name"});
            static_cast<void>(mp::arena::remove_stale());
            BOOST_TEST(support::bytes_of(name) == bytes, boost::test_tools::per_element());
        }
}

BOOST_AUTO_TEST_CASE(random_bytes_behind_a_good_beginning) {
    const std::string name = support::unique_name("random");
    std::vector<char> bytes = random_bytes(100'000);
    set(bytes, 0, mp::arena::segment_magic);
    {
        const support::ForeignFile file(name, bytes, true);
        expect_mismatch([&] { Number::open(name); }, name, "layout version");
    }
    set(bytes, offsetof(SegmentHeader, version), mp::arena::layout_version);
    set(bytes, offsetof(SegmentHeader, pointer_bytes), std::uint16_t{8});
    set(bytes, offsetof(SegmentHeader, byte_order), std::uint16_t{0x0102});
    const support::ForeignFile file(name, bytes, true);
    expect_mismatch([&] { Number::open(name); }, name, "cut or overwritten");
}

BOOST_AUTO_TEST_CASE(a_directory_under_the_name) {
    const std::string name = support::unique_name("directory");
    std::filesystem::create_directory(support::file_of(name));
    for (const auto& act : std::vector<std::function<void()>>{
             [&] { Number::open(name); }, [&] { Number::create(name); },
             [&] { Number::open_or_create(name); }})
        expect_mismatch(act, name, "directory");
    BOOST_CHECK_THROW(static_cast<void>(Number::remove(name)), mp::Error);
    static_cast<void>(mp::arena::remove_stale());
    BOOST_TEST(std::filesystem::remove(support::file_of(name)));
}

BOOST_AUTO_TEST_CASE(a_symbolic_link_under_the_name) {
    const std::string name = support::unique_name("link");
    const std::string real = support::unique_name("real");
    const auto made = Number::create(real, 1);
    for (const std::string& to : {support::file_of(real), std::string("/nowhere")}) {
        std::filesystem::create_symlink(to, support::file_of(name));
        for (const auto& act : std::vector<std::function<void()>>{
                 [&] { Number::open(name); }, [&] { Number::create(name); },
                 [&] { Number::open_or_create(name); }})
            expect_mismatch(act, name, "symbolic link");
        BOOST_TEST(Number::remove(name)); // the link, not what it leads to
    }
    BOOST_TEST(made.load() == 1);
    BOOST_TEST(Number::open(real).load() == 1);
}

BOOST_AUTO_TEST_CASE(a_pipe_under_the_name) {
    const std::string name = support::unique_name("pipe");
    BOOST_REQUIRE(::mkfifo(support::file_of(name).c_str(), 0600) == 0);
    expect_mismatch([&] { Number::open(name); }, name, "not made by multifork");
    static_cast<void>(mp::arena::remove_stale());
    BOOST_TEST(Number::remove(name));
}

BOOST_AUTO_TEST_CASE(a_file_of_another_users) {
    if (::geteuid() != 0)
        return support::skip("only root can give a file away");
    const std::string name = support::unique_name("theirs");
    const support::ForeignFile file(name, sound_bytes(), true);
    BOOST_REQUIRE(::chown(support::file_of(name).c_str(), 65534, 65534) == 0);
    for (const auto& act : std::vector<std::function<void()>>{
             [&] { Texts::open(name, 4, room); }, [&] { Texts::create(name, 4, room); },
             [&] { Texts::open_or_create(name, 4, room); }})
        support::expect_error<mp::Error>(act, {name, "another user", "65534"});
    BOOST_TEST(support::has_file(name));
}

BOOST_AUTO_TEST_CASE(a_file_that_may_not_be_opened_because_it_is_another_users) {
    if (::geteuid() != 0)
        return support::skip("only root can become another user");
    const std::string name = support::unique_name("ours");
    const auto made = Number::create(name);
    support::RawChild stranger([&] {
        support::demand(::setgid(65534) == 0 && ::setuid(65534) == 0);
        try {
            Number::open(name);
        } catch (const mp::Error& error) {
            const std::string_view said = error.what();
            support::demand(said.find("another user (uid 0)") != said.npos);
            return 0;
        }
        return 1;
    });
    BOOST_TEST(stranger.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
