#pragma once

#include <multifork/core/claims.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/pool/task.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

/// \file
/// \internal A map in the memory of the parent, without its types. All its items lie in one block:
///
///   function | MapLayout | the callable | inputs | results | core::Claims
///
/// Inputs that are plain bytes lie there as an array, results likewise: workers write them into
/// their places. Others are encoded: inputs behind a table of where each chunk begins, the results
/// of a chunk in a block of their own, which the chunk's word names.
///
/// In the table of the pool a map is as many tasks as workers can take part: its shares. Who takes
/// one goes through the chunks until none is left.

namespace multifork::detail {

struct MapLayout {
    std::uint64_t inputs = 0; ///< where they begin in the block
    std::uint64_t results = 0;
    std::uint64_t claims = 0;
    std::uint64_t items = 0;
    std::uint64_t chunk_size = 0;
    std::uint64_t shares = 0;
    std::uint64_t first_position = 0; ///< of the blocks of results, by chunk
    std::uint64_t tell = 0;           ///< 1: the parent wants to hear of each chunk

    [[nodiscard]] std::uint64_t chunks() const noexcept {
        return items / chunk_size + (items % chunk_size != 0 ? 1 : 0);
    }
};

/// What is common to the shares of one map. Who may call what: the collector's thread alone, or, if
/// it says so, anybody under the pool's mutex.
class MULTIFORK_API MapJob {
public:
    using Progress = std::function<void(std::size_t done, std::size_t all)>;

    MapJob(PoolTable table, Progress progress);
    virtual ~MapJob();
    MapJob(const MapJob&) = delete;
    MapJob& operator=(const MapJob&) = delete;

    /// Once, before it is submitted, when the block is written up to the claims.
    void begin(std::shared_ptr<const TaskBlock> block, const MapLayout& layout);
    /// The tasks that carry it. \param limit_ns  of a chunk; 0: none
    static std::vector<std::shared_ptr<PoolTask>> shares(const std::shared_ptr<MapJob>& job,
                                                         std::int64_t limit_ns);
    /// Numbers for the blocks of results of so many chunks.
    [[nodiscard]] static std::uint64_t positions(std::uint64_t chunks);

    [[nodiscard]] std::size_t chunks() const noexcept { return chunks_; }
    [[nodiscard]] bool has_progress() const noexcept { return progress_ != nullptr; }
    std::size_t first_index = 0; ///< of its chunks among the pool's tasks; under the mutex

    /// \name Under the pool's mutex
    /// @{
    /// When the chunk that this share is at was begun; 0: none is in work.
    [[nodiscard]] std::int64_t began(std::uint32_t share) const noexcept;
    /// Which chunk that is, if it began then.
    [[nodiscard]] std::optional<std::uint64_t> begun_at(std::uint32_t share,
                                                        std::int64_t began) const noexcept;
    /// Clears up after the worker that had the share, which was reaped.
    /// \return the chunk that it has taken with it
    [[nodiscard]] std::optional<std::uint64_t> bury(std::uint32_t share) noexcept;
    /// How often that chunk has been begun in vain, this time included.
    [[nodiscard]] unsigned count_try(std::uint64_t chunk);
    void give_back(std::uint64_t chunk) noexcept;
    void lose(std::uint64_t chunk, std::exception_ptr why);
    /// Whether chunks are over that tell_progress() has not told of.
    [[nodiscard]] bool look();
    /// @}

    void tell_progress();
    [[nodiscard]] bool is_finished() const noexcept { return shares_left_ == 0; }
    /// One was gone through. \throws when it was the last and a result cannot be read: the pool
    /// says what that means, by share_is_over()
    void share_is_done();
    /// \param error  why the share was not, or not wholly, gone through; or what share_is_done()
    /// means
    void share_is_over(std::exception_ptr error) noexcept;

protected:
    /// Gets the encoded results of a chunk, chunk after chunk. May throw.
    virtual void take_chunk(std::uint64_t items, std::span<const std::byte> bytes) = 0;
    /// \param error  of the first chunk that has one
    virtual void finish(std::exception_ptr error) = 0;
    [[nodiscard]] const std::byte* results() const noexcept;
    [[nodiscard]] const MapLayout& layout() const noexcept { return layout_; }

private:
    [[nodiscard]] std::uint64_t items_of(std::uint64_t chunk) const noexcept;
    /// Once, when no share is left: finds out what came of each chunk.
    void settle() noexcept;
    [[nodiscard]] std::exception_ptr settle_chunk(std::uint64_t chunk, bool wanted);

    PoolTable table_;
    Progress progress_;
    std::shared_ptr<const TaskBlock> block_;
    MapLayout layout_;
    core::Claims claims_;
    std::size_t chunks_ = 0;
    std::size_t shares_left_ = 0;
    std::map<std::uint64_t, std::exception_ptr> lost_; // by chunk
    std::map<std::uint64_t, unsigned> tries_;          // by chunk
    std::exception_ptr share_error_;
    std::exception_ptr error_; // of the first chunk that has one, when settled
    bool settled_ = false;
    bool unreadable_ = false; // error_ is of reading what came of the chunk

    // Of the progress: chunks below low_ are all over and told of; above, told_ says it.
    std::uint64_t low_ = 0;
    std::vector<bool> told_;
    std::vector<std::size_t> news_; // items of chunks that are over
    std::size_t items_over_ = 0;
};

/// How a worker does a chunk: the items from `run.first` on, `run.count` of them; if it throws,
/// `run.item` is the one in work.
struct ChunkRunner {
    void* self;
    void (*run)(void* self, TaskRun& run, std::uint64_t chunk);
};

/// What a worker does with a share: claims and runs chunks until none is left, or it has done as
/// many as it may. \param run  `first` is the number of the share
MULTIFORK_API void run_share(TaskRun& run, const MapLayout& layout, const ChunkRunner& runner);

[[noreturn]] MULTIFORK_API void throw_bad_map();

} // namespace multifork::detail
