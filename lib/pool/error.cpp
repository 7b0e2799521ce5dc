#include <multifork/pool/error.hpp>

#include <fmt/format.h>

#include <utility>

namespace multifork {
namespace {

std::string tell(const WorkerEnd& end) {
    return fmt::format("{} (pid {}) {} while it ran task {}; its task has failed, the pool goes on",
                       end.name, end.pid,
                       end.exitcode < 0 ? fmt::format("was ended by signal {}", -end.exitcode)
                                        : fmt::format("called exit({})", end.exitcode),
                       end.task);
}

} // namespace

WorkerDied::WorkerDied(WorkerEnd end) : WorkerDied(end, tell(end)) {}
WorkerDied::WorkerDied(WorkerEnd end, std::string message)
    : Error(std::errc::owner_dead, std::move(message)), end_(std::move(end)) {}
TaskTimedOut::TaskTimedOut(WorkerEnd end, std::string message)
    : WorkerDied(std::move(end), std::move(message)) {}
BrokenPool::BrokenPool(std::string message) : Error(std::errc::broken_pipe, std::move(message)) {}
BrokenProcessPool::BrokenProcessPool(std::string message) : BrokenPool(std::move(message)) {}
BrokenThreadPool::BrokenThreadPool(std::string message) : BrokenPool(std::move(message)) {}
Cancelled::Cancelled(std::string message)
    : Error(std::errc::operation_canceled, std::move(message)) {}
TimedOut::TimedOut(std::string message) : Error(std::errc::timed_out, std::move(message)) {}
InvalidState::InvalidState(std::string message)
    : Error(std::errc::invalid_argument, std::move(message)) {}

std::optional<RemoteError> remote_cause(const std::exception& error) {
    if (const auto* const remote = dynamic_cast<const RemoteError*>(&error))
        return *remote;
    if (const auto* const nested = dynamic_cast<const std::nested_exception*>(&error))
        return remote_cause(nested->nested_ptr());
    return std::nullopt;
}

std::optional<RemoteError> remote_cause(std::exception_ptr error) {
    if (error == nullptr)
        return std::nullopt;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& thrown) {
        return remote_cause(thrown);
    } catch (...) {
        return std::nullopt;
    }
}

} // namespace multifork
