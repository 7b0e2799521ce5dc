#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/outgoing.hpp>
#include <multifork/channel/travellers.hpp>
#include <multifork/core/container_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// \file
/// What List, Dict and Namespace have in common: the lock with its repair, and the blocks that
/// elements lie in (core/container_cell.hpp).

namespace multifork::detail {

/// An element on its way into a container: a word, or a block that the calling thread owns until
/// give(). Bytes of elements get into shared memory here and nowhere else.
class MULTIFORK_API Incoming {
public:
    explicit Incoming(std::uint64_t word) noexcept : word_(word) {}
    /// The block keeps what handles in the message lead to.
    /// \throws OutOfSharedMemory, NotShareable
    Incoming(arena::Space& space, const Outgoing& message);
    /// Takes over the connections that travel in the message: given up again without give().
    Incoming(arena::Space& space, const Outgoing& message, Travellers& travellers);
    Incoming(Incoming&& other) noexcept
        : space_(std::exchange(other.space_, nullptr)), word_(other.word_),
          travellers_(std::exchange(other.travellers_, {})) {}
    Incoming& operator=(Incoming&& other) noexcept {
        std::swap(space_, other.space_);
        std::swap(word_, other.word_);
        std::swap(travellers_, other.travellers_);
        return *this;
    }
    ~Incoming();

    [[nodiscard]] std::uint64_t word() const noexcept { return word_; }
    /// Makes the block the container's. With its lock held, and the commit soon to come.
    void give(const arena::Object& container) noexcept;

private:
    arena::Space* space_ = nullptr; // while the block is the thread's
    std::uint64_t word_;
    std::vector<std::string> travellers_;
};

class MULTIFORK_API Container {
public:
    /// \param what  for messages: "List"
    Container(arena::Object object, const char* what) noexcept;
    virtual ~Container();
    Container(const Container&) = default;
    Container& operator=(const Container&) = default;

    [[nodiscard]] const arena::Object& object() const noexcept { return object_; }
    [[nodiscard]] arena::Space& space() const noexcept { return object_.space(); }
    /// How a handle gets into another process (channel/crossing.hpp).
    [[nodiscard]] arena::Crossing crossing() const { return {object_}; }
    /// The object that has arrived. \throws CorruptSharedMemory
    [[nodiscard]] static arena::Object arrived(const arena::Crossing& crossing);
    /// Deaths that left something to repair, or might have.
    [[nodiscard]] std::uint64_t repairs() const noexcept;

    /// Holds the container's lock; what a dead holder left has been repaired.
    class MULTIFORK_API Guard {
    public:
        /// \throws WouldDeadlock when the calling thread holds it: a function of the user's that
        /// was called by an operation uses the same container
        explicit Guard(const Container& container);
        ~Guard();
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        /// To be called between a function of the user's and the commit.
        /// \throws NotOwner when it has called fork(), and this is the child
        void check_after_call() const;

    private:
        const Container& container_;
    };

    /// The bytes of an element's block. With the lock held: they stay as long.
    /// \throws CorruptSharedMemory
    [[nodiscard]] std::span<const std::byte> bytes_at(std::uint64_t word) const;

protected:
    [[nodiscard]] core::ContainerHeader& header() const noexcept { return *header_; }
    /// Where the table lies; 0: there is none.
    [[nodiscard]] std::uint64_t root() const noexcept {
        return header_->root.load(std::memory_order_relaxed); // under the lock
    }
    /// Makes the new table, which the thread owns, the one that counts. COMMITs, and frees the old
    /// one. \param table  0: none
    void change_root(std::uint64_t table) noexcept;
    /// Frees a block that the commit has taken out of the container; nothing if it is not the
    /// container's.
    void discard(std::uint64_t word) const noexcept;
    /// Puts what is derived in order. \return the blocks that are in use, in any order
    [[nodiscard]] virtual std::vector<std::uint64_t> mend() const = 0;
    [[noreturn]] void corrupt() const;

private:
    void settle(core::Acquired got) const;

    arena::Object object_;
    core::ContainerHeader* header_;
    liveness::Domain* domain_;
    std::uint32_t domain_index_;
    const char* what_;
};

[[nodiscard]] MULTIFORK_API arena::Object make_container(arena::Kind kind);

} // namespace multifork::detail
