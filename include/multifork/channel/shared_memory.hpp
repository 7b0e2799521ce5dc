#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/format.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace multifork {

/// A piece of shared memory with a name, for bytes of the user's own.
///
/// \code
///   auto memory = mp::SharedMemory::create(4096);    // named psm_...
///   memory.buf()[0] = std::byte{42};
///   queue.put(memory.name());                        // or put(memory): its name travels
///   ...
///   auto same = mp::SharedMemory::open(name);
/// \endcode
///
/// It lives until its last user has closed it or has ended, however that was; or, for those who
/// have it open, beyond unlink(), which takes the name away at once. (In Python it lives until
/// somebody unlinks it, and a program that was killed leaves it behind.)
///
/// A SharedMemory is a handle: copies, and what a forked child inherits, mean the same memory.
///
/// \threads   distinct and shared objects are safe, but for close() while another uses the object;
///            the bytes are as safe as plain memory
/// \processes as threads \fork the child inherits the handle, with a close() of its own
/// \crash     nothing is left behind; the bytes are as their last writer left them
class MULTIFORK_API SharedMemory {
public:
    using multifork_describable = void;

    /// No memory: what a codec makes before it reads one.
    SharedMemory() noexcept = default;

    /// Makes one with a name that nobody uses. Its bytes are zero.
    /// \throws InvalidArgument (a size of 0, or an absurd one), OutOfSharedMemory
    static SharedMemory create(std::size_t size);
    /// Makes one of that name. \throws AlreadyExists, InvalidArgument, OutOfSharedMemory
    static SharedMemory create(std::string_view name, std::size_t size);
    /// Opens one, as long as it is. \throws NotFound, LayoutMismatch, InvalidArgument
    static SharedMemory open(std::string_view name);
    /// Opens one as long as it is, or makes it `size` long.
    static SharedMemory open_or_create(std::string_view name, std::size_t size);
    /// Takes the name away. \return false when there was none
    static bool remove(std::string_view name) { return arena::remove_named(name); }

    [[nodiscard]] const std::string& name() const noexcept;
    /// In bytes, as asked for when it was made; 0 after close().
    [[nodiscard]] std::size_t size() const noexcept;
    /// The bytes; their address is a multiple of 64. \throws InvalidArgument after close()
    [[nodiscard]] std::span<std::byte> buf() const;

    /// Ends this process's use of the memory, through this handle and its copies; twice is once.
    /// Spans from buf() are dead then.
    void close() noexcept;
    [[nodiscard]] bool closed() const noexcept;
    /// Takes the name away; who has the memory open goes on with it.
    /// \throws NotFound when somebody has done so before, whoever has the name now
    void unlink();

    /// `<SharedMemory 'psm_1a2b3c4d' 4096>`
    [[nodiscard]] std::string to_string() const;

    /// What travels through a queue is the name: the receiver opens it. The sender must keep it
    /// open until then. \throws NotFound in the receiver
    template <class Archive>
    void save(Archive& archive) const {
        archive(name());
    }
    template <class Archive>
    void load(Archive& archive) {
        std::string name;
        archive(name);
        *this = open(name);
    }

    /// \name For what is built on it
    /// @{
    using Init = std::function<void(std::byte*)>;
    /// \param size  to open one: how long it is at least
    static SharedMemory named(std::string_view name, arena::OpenMode mode, std::size_t size,
                              arena::Kind kind, const Init& init);
    /// Makes one under the first name from `next_name` that nobody uses.
    static SharedMemory create_with(const std::function<std::string()>& next_name, std::size_t size,
                                    arena::Kind kind, const Init& init);
    /// psm_ and eight random hexadecimal digits
    static std::string random_name();
    /// \throws InvalidArgument after close()
    [[nodiscard]] const arena::Object& object() const;
    /// @}

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace multifork
