#include <multifork/error.hpp>

#include <fmt/core.h>

#include <utility>

namespace multifork {

Error::Error(std::errc code, std::string message)
    : Error(std::make_error_code(code), std::move(message)) {}
Error::Error(std::error_code code, std::string message)
    : std::system_error(code, message), message_(std::move(message)) {}
Error::~Error() = default;

const char* Error::what() const noexcept {
    return message_.c_str();
}

InvalidArgument::InvalidArgument(std::string message)
    : Error(std::errc::invalid_argument, std::move(message)) {}
OwnerDied::OwnerDied(std::string message) : Error(std::errc::owner_dead, std::move(message)) {}
NotOwner::NotOwner(std::string message)
    : Error(std::errc::operation_not_permitted, std::move(message)) {}
WouldDeadlock::WouldDeadlock(std::string message)
    : Error(std::errc::resource_deadlock_would_occur, std::move(message)) {}
BrokenBarrier::BrokenBarrier(std::string message)
    : Error(std::errc::operation_canceled, std::move(message)) {}
QueueClosed::QueueClosed(std::string message) : Error(std::errc::broken_pipe, std::move(message)) {}
EndOfStream::EndOfStream(std::string message) : Error(std::errc::no_message, std::move(message)) {}
BrokenPipe::BrokenPipe(std::string message) : Error(std::errc::broken_pipe, std::move(message)) {}
AuthenticationError::AuthenticationError(std::string message)
    : Error(std::errc::permission_denied, std::move(message)) {}
ConnectionClosed::ConnectionClosed(std::string message)
    : Error(std::errc::bad_file_descriptor, std::move(message)) {}
OutOfSharedMemory::OutOfSharedMemory(std::string message)
    : Error(std::errc::not_enough_memory, std::move(message)) {}
TooManyThreads::TooManyThreads(std::string message)
    : Error(std::errc::resource_unavailable_try_again, std::move(message)) {}
NotShareable::NotShareable(std::string message)
    : Error(std::errc::operation_not_supported, std::move(message)) {}
LayoutMismatch::LayoutMismatch(std::string message)
    : Error(std::errc::wrong_protocol_type, std::move(message)) {}
CorruptSharedMemory::CorruptSharedMemory(std::string message)
    : Error(std::errc::bad_message, std::move(message)) {}
NotFound::NotFound(std::string message)
    : Error(std::errc::no_such_file_or_directory, std::move(message)) {}
KeyNotFound::KeyNotFound(std::string message)
    : Error(std::errc::invalid_argument, std::move(message)) {}
TypeMismatch::TypeMismatch(std::string message)
    : Error(std::errc::invalid_argument, std::move(message)) {}
AlreadyExists::AlreadyExists(std::string message)
    : Error(std::errc::file_exists, std::move(message)) {}
ProcessError::ProcessError(std::errc code, std::string message) : Error(code, std::move(message)) {}

RemoteError::RemoteError(std::string type_name, std::string text, std::string process_name, int pid)
    : Error(std::errc::owner_dead,
            fmt::format("{} (pid {}) ended with {}: {}", process_name, pid, type_name, text)),
      type_name_(std::move(type_name)), text_(std::move(text)),
      process_name_(std::move(process_name)), pid_(pid) {}

} // namespace multifork
