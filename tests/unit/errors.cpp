#include <multifork/error.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <string>
#include <system_error>

namespace mp = multifork;

namespace {

template <class E>
void check(const E& error, std::errc code) {
    const mp::Error& base = error;
    const std::system_error& as_system_error = error;
    BOOST_TEST(std::string(base.what()) == "the sentence");
    BOOST_TEST(std::string(as_system_error.what()) == "the sentence");
    BOOST_TEST((error.code() == code), typeid(E).name() << " has code " << error.code().message());
    const E copy = error; // what() of a copy is the copy's own
    BOOST_TEST(std::string(copy.what()) == "the sentence");
}

} // namespace

BOOST_AUTO_TEST_SUITE(errors)

BOOST_AUTO_TEST_CASE(each_error_says_its_sentence_and_has_the_closest_code) {
    const std::string text = "the sentence";
    check(mp::InvalidArgument(text), std::errc::invalid_argument);
    check(mp::OwnerDied(text), std::errc::owner_dead);
    check(mp::NotOwner(text), std::errc::operation_not_permitted);
    check(mp::WouldDeadlock(text), std::errc::resource_deadlock_would_occur);
    check(mp::QueueClosed(text), std::errc::broken_pipe);
    check(mp::OutOfSharedMemory(text), std::errc::not_enough_memory);
    check(mp::TooManyThreads(text), std::errc::resource_unavailable_try_again);
    check(mp::LayoutMismatch(text), std::errc::wrong_protocol_type);
    check(mp::CorruptSharedMemory(text), std::errc::bad_message);
    check(mp::NotFound(text), std::errc::no_such_file_or_directory);
    check(mp::AlreadyExists(text), std::errc::file_exists);
    check(mp::ProcessError(std::errc::no_child_process, text), std::errc::no_child_process);
    check(mp::Error(std::errc::io_error, text), std::errc::io_error);
    check(mp::Error(std::error_code(EIO, std::generic_category()), text), std::errc::io_error);
}

BOOST_AUTO_TEST_CASE(a_remote_error_tells_who_what_and_why) {
    const mp::RemoteError error("std::runtime_error", "no luck", "Process-3", 4242);
    BOOST_TEST(error.type_name() == "std::runtime_error");
    BOOST_TEST(error.text() == "no luck");
    BOOST_TEST(error.process_name() == "Process-3");
    BOOST_TEST(error.pid() == 4242);
    const std::string what = error.what();
    for (const char* word : {"std::runtime_error", "no luck", "Process-3", "4242"})
        BOOST_TEST((what.find(word) != what.npos), what << " lacks " << word);
}

BOOST_AUTO_TEST_SUITE_END()
