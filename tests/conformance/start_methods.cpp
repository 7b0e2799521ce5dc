#include "start_methods.hpp"

#include "process/fork_server.hpp"

namespace conformance {

ServerStops::~ServerStops() {
    multifork::detail::stop_fork_server();
}

} // namespace conformance
