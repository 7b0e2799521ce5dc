#include "support/start_methods.hpp"

#include "process/fork_server.hpp"

namespace multifork::test {

ServerStops::~ServerStops() {
    detail::stop_fork_server();
}

} // namespace multifork::test
