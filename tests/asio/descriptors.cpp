#include "asio/support.hpp"

#include <array>

#include <fcntl.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace asio = boost::asio;
using namespace std::chrono_literals;
using Coroutine = asio::awaitable<void>;

namespace {

class PipeOfBytes {
public:
    PipeOfBytes() { BOOST_TEST_REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0); }
    ~PipeOfBytes() {
        for (const int end : ends_)
            ::close(end);
    }
    PipeOfBytes(const PipeOfBytes&) = delete;
    PipeOfBytes& operator=(const PipeOfBytes&) = delete;

    [[nodiscard]] int reader() const { return ends_[0]; }
    void write() const { BOOST_TEST_REQUIRE(::write(ends_[1], "x", 1) == 1); }

private:
    std::array<int, 2> ends_{-1, -1};
};

Coroutine wait_for(int descriptor, int& times) {
    co_await mp::async_wait(descriptor);
    ++times;
}

} // namespace

BOOST_AUTO_TEST_SUITE(descriptors)

BOOST_AUTO_TEST_CASE(waiting_for_a_descriptor_leaves_it_blocking) {
    const PipeOfBytes bytes;
    asio::io_context io;
    int ended = 0;
    for (int i = 0; i < 2; ++i) // two may wait for the same
        asio::co_spawn(io, wait_for(bytes.reader(), ended), asio::detached);
    io.run_for(20ms);
    BOOST_TEST(ended == 0);
    BOOST_TEST((::fcntl(bytes.reader(), F_GETFL) & O_NONBLOCK) == 0);
    bytes.write();
    io.restart();
    io.run();
    BOOST_TEST(ended == 2);
    BOOST_TEST((::fcntl(bytes.reader(), F_GETFL) & O_NONBLOCK) == 0);
}

BOOST_AUTO_TEST_CASE(a_file_is_ready_at_once) {
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    BOOST_TEST_REQUIRE(file >= 0);
    asio::io_context io;
    int ended = 0;
    support::run(io, wait_for(file, ended));
    BOOST_TEST(ended == 1);
    ::close(file);
}

BOOST_AUTO_TEST_CASE(a_number_that_is_no_descriptor_is_refused) {
    const int closed = ::dup(STDERR_FILENO);
    ::close(closed);
    asio::io_context io;
    int ended = 0;
    BOOST_CHECK_THROW(support::run(io, wait_for(closed, ended)), mp::InvalidArgument);
}

BOOST_AUTO_TEST_SUITE_END()
