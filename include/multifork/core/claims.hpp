#pragma once

#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

// The claims of a map: its items lie in chunks, and the workers that have a share in it take chunk
// after chunk. It lies in the block of the map, at a multiple of 64:
//
//   offset 0    next     the first chunk that no run has been taken from; alone in its line
//          64   shares   64 bytes each: at | making | began
//          ...  words    8 bytes a chunk: block / 64 << 24 | share << 8 | tag
//
// The truth about a chunk is its word, and one store or compare-and-swap changes it:
//
//   free            -> taken(s)            by who has share s, a compare-and-swap
//   taken(s)        -> done(s), failed(s)  by who has share s, with the block of the result or of
//                                          the exception, 0 if it needs none
//   taken(s)        -> free, lost          by the parent, when who had share s is dead: it has been
//                                          reaped, so that its words are final
//
// `next` is derived, and no more than a hint: who adds n to it tries the next n chunks, a run, so
// that workers seldom meet at one line. It says nothing about who has what. A run is as long as
// claiming it is worth: about run_ns, by the measure of the run before.
// (Guided self-scheduling: C. Polychronopoulos, D. Kuck, 1987, with a measured length.)
//
// When `next` is at the end, each share's worker goes through all words once, from the last to the
// first, and takes what is free: chunks of a run whose worker is slow, or dead. What it has passed
// never becomes free again, but by the parent, which then gives the share to somebody.
//
//   claim:  at = chunk + 1 | word = taken(s) (COMMIT)
//   done:   making = block | the block is the table's | word = done(s), block (COMMIT)
//
//   a worker dies         the parent finds, when it has reaped it
//   before taken          the chunk free: others take it
//   after taken           the chunk that `at` names taken by the dead: the one that has failed. A
//                         result that was the table's already is named by `making`, and goes
//   after done            the chunk done: the result counts
//
// Who writes what. Who has the share: at, making, began; all of them: next, and words as above. The
// parent: everything before the shares are given out; the words of the dead.

namespace multifork::core {

enum class ClaimTag : std::uint32_t { free, taken, done, failed, lost };

/// The word of a chunk in parts.
struct ClaimWord {
    ClaimTag tag = ClaimTag::free;
    std::uint32_t share = 0;
    std::uint64_t block = 0; ///< a multiple of 64; 0: none

    [[nodiscard]] constexpr std::uint64_t word() const noexcept {
        return block / 64 << 24 | std::uint64_t{share} << 8 | static_cast<std::uint64_t>(tag);
    }
    [[nodiscard]] static constexpr ClaimWord of(std::uint64_t word) noexcept {
        return {static_cast<ClaimTag>(word & 0xFF), static_cast<std::uint32_t>(word >> 8) & 0xFFFF,
                (word >> 24) * 64};
    }
};

struct ClaimShare {
    alignas(64) std::atomic<std::uint64_t> at; ///< 1 + the chunk that it tries, or has; 0: none yet
    std::atomic<std::uint64_t> making; ///< the block that is about to be the table's; 0: none
    std::atomic<std::int64_t> began;   ///< when the chunk was begun, if it has a limit; 0: not yet
};
static_assert(sizeof(ClaimShare) == 64);

struct ClaimHeader {
    alignas(64) std::atomic<std::uint64_t> next;
};
static_assert(sizeof(ClaimHeader) == 64);

/// The claims as one process sees them.
struct Claims {
    ClaimHeader* header = nullptr;
    std::uint32_t shares = 0; ///< 1 to 65535
    std::uint64_t chunks = 0;

    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t shares, std::uint64_t chunks) {
        return sizeof(ClaimHeader) + std::size_t{shares} * sizeof(ClaimShare) + chunks * 8;
    }
    [[nodiscard]] ClaimShare& share(std::uint32_t i) const noexcept {
        return reinterpret_cast<ClaimShare*>(header + 1)[i];
    }
    [[nodiscard]] std::atomic<std::uint64_t>& word(std::uint64_t chunk) const noexcept {
        return reinterpret_cast<std::atomic<std::uint64_t>*>(&share(shares))[chunk];
    }
    /// What is known about a chunk: that it is done, or failed, and then what was written before.
    [[nodiscard]] ClaimWord state(std::uint64_t chunk) const noexcept {
        // acquire: pairs with the release in claim_done()
        return ClaimWord::of(word(chunk).load(std::memory_order_acquire));
    }
};

/// \name For the parent
/// @{

/// All chunks are free; before anybody else can see them.
MULTIFORK_API void claims_reset(const Claims& claims) noexcept;
/// \return the chunk that was taken by who had that share, and has been reaped
[[nodiscard]] MULTIFORK_API std::optional<std::uint64_t>
claim_of_the_dead(const Claims& claims, std::uint32_t share) noexcept;
/// Such a chunk is for somebody else, or for nobody.
MULTIFORK_API void claim_give_back(const Claims& claims, std::uint64_t chunk) noexcept;
MULTIFORK_API void claim_lose(const Claims& claims, std::uint64_t chunk) noexcept;
/// @}

/// The way of one worker, who has a share, through the chunks.
class MULTIFORK_API ClaimWalk {
public:
    /// How long a run is meant to take, and how many chunks it has at most.
    static constexpr std::int64_t run_ns = 20'000;
    static constexpr std::uint64_t longest_run = 64;

    ClaimWalk(const Claims& claims, std::uint32_t share) noexcept;

    /// Claims a chunk. \return nothing when none is left for this worker
    [[nodiscard]] std::optional<std::uint64_t> next() noexcept;
    /// The chunk that next() gave is done, or has failed.
    /// \param block  has the result, or the exception; 0: there is none
    void done(std::uint64_t chunk, bool failed, std::uint64_t block) noexcept;

private:
    [[nodiscard]] bool claim(std::uint64_t chunk) noexcept;
    [[nodiscard]] bool take_run() noexcept;

    Claims claims_;
    std::uint32_t share_;
    std::uint64_t at_ = 0;  // of the run
    std::uint64_t end_ = 0; // of the run
    std::uint64_t run_ = 0; // how long it was
    std::int64_t run_began_ = 0;
    bool last_look_ = false;
    std::uint64_t left_ = 0; // chunks of the last look
};

} // namespace multifork::core
