#pragma once

#include <multifork/platform/export.hpp>

#include <string>
#include <system_error>

namespace multifork {

/// The root of everything this library throws.
///
/// An exception means that the world is broken or that the call was wrong; what() is one sentence
/// that says what happened and what to do. An expected outcome (timed out, full, closed) is never
/// an exception: it is a `[[nodiscard]]` bool or std::optional.
///
/// code() gives the closest std::errc, so that callers who know errno can switch on it.
class MULTIFORK_API Error : public std::system_error {
public:
    Error(std::errc code, std::string message);
    Error(std::error_code code, std::string message);
    ~Error() override;
    Error(const Error&) = default;
    Error& operator=(const Error&) = default;

    /// The sentence alone, without the text of the error code that std::system_error appends.
    [[nodiscard]] const char* what() const noexcept override;

private:
    std::string message_;
};

/// An argument that cannot work: a capacity of 0, a name with a slash, an absurd size.
class MULTIFORK_API InvalidArgument : public Error {
public:
    explicit InvalidArgument(std::string message);
};

/// The thread or process that held a lock ended without unlocking it.
///
/// What the lock protects may be half done. The lock is *not* taken. Every further lock() says the
/// same until somebody calls recover().
class MULTIFORK_API OwnerDied : public Error {
public:
    explicit OwnerDied(std::string message);
};

/// unlock() or release() by somebody who does not hold the lock.
class MULTIFORK_API NotOwner : public Error {
public:
    explicit NotOwner(std::string message);
};

/// lock() by a thread that holds the lock already: it would wait for itself for ever.
class MULTIFORK_API WouldDeadlock : public Error {
public:
    explicit WouldDeadlock(std::string message);
};

/// A barrier at which the parties will not all meet: one of them died there or its time ran out,
/// the action threw, or somebody called abort(). reset() makes the barrier whole again.
class MULTIFORK_API BrokenBarrier : public Error {
public:
    explicit BrokenBarrier(std::string message);
};

/// put() on a closed queue, or get() on one that is closed and drained.
class MULTIFORK_API QueueClosed : public Error {
public:
    explicit QueueClosed(std::string message);
};

/// recv() when nothing is left and nobody holds the other end any more: all have closed it, or
/// ended, or were killed.
class MULTIFORK_API EndOfStream : public Error {
public:
    explicit EndOfStream(std::string message);
};

/// send() to a connection whose other end nobody holds any more.
class MULTIFORK_API BrokenPipe : public Error {
public:
    explicit BrokenPipe(std::string message);
};

/// A peer does not know the key, or is another user's process.
class MULTIFORK_API AuthenticationError : public Error {
public:
    explicit AuthenticationError(std::string message);
};

/// Any use of a Connection or Listener after its close().
class MULTIFORK_API ConnectionClosed : public Error {
public:
    explicit ConnectionClosed(std::string message);
};

/// The arena, /dev/shm or the machine has no room for what was asked.
class MULTIFORK_API OutOfSharedMemory : public Error {
public:
    explicit OutOfSharedMemory(std::string message);
};

/// More threads or processes than the shared registry has slots for.
class MULTIFORK_API TooManyThreads : public Error {
public:
    explicit TooManyThreads(std::string message);
};

/// A named object exists, but it is not what was asked for: another type, capacity, layout version
/// or pointer size, or no object of this library at all.
class MULTIFORK_API LayoutMismatch : public Error {
public:
    explicit LayoutMismatch(std::string message);
};

/// Bytes in shared memory that no correct process can have written.
class MULTIFORK_API CorruptSharedMemory : public Error {
public:
    explicit CorruptSharedMemory(std::string message);
};

/// A value that cannot go to another process: it means something in its own process alone.
class MULTIFORK_API NotShareable : public Error {
public:
    explicit NotShareable(std::string message);
};

/// open() of a name that does not exist.
class MULTIFORK_API NotFound : public Error {
public:
    explicit NotFound(std::string message);
};

/// A key, or an attribute, that a container does not have.
class MULTIFORK_API KeyNotFound : public Error {
public:
    explicit KeyNotFound(std::string message);
};

/// An attribute of a Namespace that is of another type than it was asked for.
class MULTIFORK_API TypeMismatch : public Error {
public:
    explicit TypeMismatch(std::string message);
};

/// create() of a name that somebody uses.
class MULTIFORK_API AlreadyExists : public Error {
public:
    explicit AlreadyExists(std::string message);
};

/// A Process used against its rules: started twice, joined before start, joined by itself or by a
/// process that is not its parent.
class MULTIFORK_API ProcessError : public Error {
public:
    ProcessError(std::errc code, std::string message);
};

/// An exception that left the target of a child process, as its parent sees it.
class MULTIFORK_API RemoteError : public Error {
public:
    RemoteError(std::string type_name, std::string text, std::string process_name, int pid);

    /// The exception's type as the compiler spells it, "int" too.
    [[nodiscard]] const std::string& type_name() const noexcept { return type_name_; }
    /// What what() said in the child, cut to the length that the child had room for.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] const std::string& process_name() const noexcept { return process_name_; }
    [[nodiscard]] int pid() const noexcept { return pid_; }

private:
    std::string type_name_;
    std::string text_;
    std::string process_name_;
    int pid_;
};

} // namespace multifork
