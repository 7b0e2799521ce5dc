#include <multifork/core/claims.hpp>

#include <multifork/platform/clock.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <cstring>

namespace multifork::core {
namespace {

// The words of a share are written by one thread, and read by the parent when that is dead, or, for
// a deadline, as a guess that its death proves right or wrong. So their order need not be more than
// that of the program.
constexpr auto relaxed = std::memory_order_relaxed;

/// What a death leaves is a prefix of the compiled program: nothing moves across a COMMIT.
void compiler_barrier() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

} // namespace

void claims_reset(const Claims& claims) noexcept {
    std::memset(static_cast<void*>(claims.header), 0, Claims::bytes(claims.shares, claims.chunks));
}

std::optional<std::uint64_t> claim_of_the_dead(const Claims& claims, std::uint32_t share) noexcept {
    const std::uint64_t at = claims.share(share).at.load(relaxed);
    if (at == 0 || at > claims.chunks) // more: overwritten by a task
        return std::nullopt;
    const ClaimWord state = claims.state(at - 1);
    if (state.tag != ClaimTag::taken || state.share != share)
        return std::nullopt;
    return at - 1;
}

// relaxed, both: whoever gets the share next gets it by the table, after this.
void claim_give_back(const Claims& claims, std::uint64_t chunk) noexcept {
    claims.word(chunk).store(ClaimWord{}.word(), relaxed);
}
void claim_lose(const Claims& claims, std::uint64_t chunk) noexcept {
    claims.word(chunk).store(ClaimWord{ClaimTag::lost}.word(), relaxed);
}

ClaimWalk::ClaimWalk(const Claims& claims, std::uint32_t share) noexcept
    : claims_(claims), share_(share) {}

bool ClaimWalk::claim(std::uint64_t chunk) noexcept {
    std::atomic<std::uint64_t>& word = claims_.word(chunk);
    std::uint64_t free = ClaimWord{}.word();
    if (word.load(relaxed) != free)
        return false;
    ClaimShare& mine = claims_.share(share_);
    if (!MULTIFORK_MUTANT(claim_unnamed))
        mine.at.store(chunk + 1, relaxed);
    compiler_barrier();
    // acq_rel: what a dead worker wrote into the item's place was written before it was given back.
    const bool taken =
        word.compare_exchange_strong(free, ClaimWord{ClaimTag::taken, share_}.word(), // COMMIT
                                     std::memory_order_acq_rel, relaxed);
    compiler_barrier();
    if (MULTIFORK_MUTANT(claim_unnamed))
        mine.at.store(chunk + 1, relaxed);
    return taken;
}

bool ClaimWalk::take_run() noexcept {
    const std::int64_t now = platform::monotonic_ns();
    if (run_ == 0) {
        run_ = 1;
    } else {
        const std::int64_t each =
            std::max<std::int64_t>((now - run_began_) / static_cast<std::int64_t>(run_), 1);
        // Not at once: the first chunks are slow, for pages and code are cold.
        run_ = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(run_ns / each), 1, 8 * run_);
    }
    run_began_ = now;
    const std::uint64_t chunks = claims_.chunks;
    const std::uint64_t next = claims_.header->next.load(relaxed);
    if (next >= chunks)
        return false;
    const std::uint64_t fair = (chunks - next) / (2 * std::uint64_t{claims_.shares});
    run_ = std::clamp<std::uint64_t>(std::min(run_, fair), 1, longest_run);
    at_ = claims_.header->next.fetch_add(run_, relaxed);
    end_ = std::min(at_ + run_, chunks);
    return at_ < chunks;
}

std::optional<std::uint64_t> ClaimWalk::next() noexcept {
    while (!last_look_) {
        while (at_ < end_)
            if (const std::uint64_t chunk = at_++; claim(chunk))
                return chunk;
        if (!take_run()) {
            last_look_ = true;
            left_ = MULTIFORK_MUTANT(no_last_look) ? 0 : claims_.chunks;
        }
    }
    while (left_ > 0)
        if (claim(--left_))
            return left_;
    return std::nullopt;
}

void ClaimWalk::done(std::uint64_t chunk, bool failed, std::uint64_t block) noexcept {
    const ClaimTag tag = failed ? ClaimTag::failed : ClaimTag::done;
    compiler_barrier();
    // release: pairs with the acquire in Claims::state(); the results were written before
    claims_.word(chunk).store(ClaimWord{tag, share_, block}.word(), // COMMIT
                              std::memory_order_release);
    compiler_barrier();
}

} // namespace multifork::core
