#pragma once

#include <multifork/channel/listener.hpp>

#include <boost/test/unit_test.hpp>

#include <string_view>

#include <sys/socket.h>
#include <sys/types.h>

namespace multifork::test {

/// A raw socket that is connected to a Listener, to speak whatever it likes.
class RawPeer {
public:
    explicit RawPeer(const Listener& listener) : connection_(Client(listener.address())) {}
    void say(std::string_view bytes) {
        BOOST_TEST(::send(connection_.fileno(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                   static_cast<ssize_t>(bytes.size()));
    }
    void end() { connection_.close(); }
    [[nodiscard]] int fd() const { return connection_.fileno(); }

private:
    Connection<> connection_;
};

} // namespace multifork::test
