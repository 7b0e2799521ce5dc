#include <multifork/pool/map_job.hpp>

#include <multifork/error.hpp>
#include <multifork/pool/future.hpp>

#include <algorithm>
#include <atomic>
#include <utility>

// A map in the hands of the parent: what of it is over, what a dead worker has taken with it, and,
// when no share is left, what came of each chunk.

namespace multifork::detail {
namespace {

// Numbers for the blocks of results of chunks: below those of tasks' blocks (task.cpp), above those
// of single tasks, which are the tasks' positions in the table.
constinit std::atomic<std::uint64_t> next_position{1ull << 61};

/// The share of a map, as a task.
class MapShare final : public PoolTask {
public:
    void done(std::span<const std::byte>) override { map->share_is_done(); }
    void failed(std::exception_ptr error) noexcept override {
        map->share_is_over(std::move(error));
    }
};

} // namespace

MapJob::MapJob(PoolTable table, Progress progress)
    : table_(std::move(table)), progress_(std::move(progress)) {}
MapJob::~MapJob() = default;

std::uint64_t MapJob::positions(std::uint64_t chunks) {
    return next_position.fetch_add(chunks);
}

void MapJob::begin(std::shared_ptr<const TaskBlock> block, const MapLayout& layout) {
    block_ = std::move(block);
    layout_ = layout;
    chunks_ = layout.chunks();
    shares_left_ = layout.shares;
    claims_ = {reinterpret_cast<core::ClaimHeader*>(block_->data() + layout.claims),
               static_cast<std::uint32_t>(layout.shares), chunks_};
    core::claims_reset(claims_);
    if (has_progress())
        told_.resize(chunks_);
}

std::vector<std::shared_ptr<PoolTask>> MapJob::shares(const std::shared_ptr<MapJob>& job,
                                                      std::int64_t limit_ns) {
    std::vector<std::shared_ptr<PoolTask>> tasks;
    tasks.reserve(job->layout_.shares);
    for (std::uint64_t share = 0; share < job->layout_.shares; ++share) {
        auto task = std::make_shared<MapShare>();
        task->map = job;
        task->block = job->block_;
        task->first = static_cast<std::uint32_t>(share);
        task->limit_ns = limit_ns;
        tasks.push_back(std::move(task));
    }
    return tasks;
}

const std::byte* MapJob::results() const noexcept {
    return block_->data() + layout_.results;
}

std::uint64_t MapJob::items_of(std::uint64_t chunk) const noexcept {
    return std::min(layout_.chunk_size, layout_.items - chunk * layout_.chunk_size);
}

std::int64_t MapJob::began(std::uint32_t share) const noexcept {
    return claims_.share(share).began.load();
}

std::optional<std::uint64_t> MapJob::begun_at(std::uint32_t share,
                                              std::int64_t began) const noexcept {
    // A worker sets `began` to 0, then `at`, then `began` to now: between two equal looks at it,
    // `at` belongs to it.
    const std::uint64_t at = claims_.share(share).at.load();
    if (at == 0 || at > chunks_ || claims_.share(share).began.load() != began ||
        claims_.state(at - 1).tag != core::ClaimTag::taken)
        return std::nullopt;
    return at - 1;
}

std::optional<std::uint64_t> MapJob::bury(std::uint32_t share) noexcept {
    core::ClaimShare& said = claims_.share(share);
    const auto chunk = core::claim_of_the_dead(claims_, share);
    const std::uint64_t making = said.making.load();
    arena::Space& space = table_.object().space();
    if (chunk && making != 0 &&
        space.take_from_ring(making, table_.object().offset(), layout_.first_position + *chunk))
        space.free(making);
    said.at.store(0);
    said.making.store(0);
    said.began.store(0);
    return chunk;
}

unsigned MapJob::count_try(std::uint64_t chunk) {
    return ++tries_[chunk];
}

void MapJob::give_back(std::uint64_t chunk) noexcept {
    core::claim_give_back(claims_, chunk);
}

void MapJob::lose(std::uint64_t chunk, std::exception_ptr why) {
    lost_[chunk] = std::move(why);
    core::claim_lose(claims_, chunk);
}

bool MapJob::look() {
    if (is_finished())
        return false;
    bool new_low = true;
    // Beyond `next` nobody takes anything, until it is at the end.
    const std::uint64_t end = std::min<std::uint64_t>(claims_.header->next.load(), chunks_);
    for (std::uint64_t chunk = low_; chunk < end; ++chunk) {
        const core::ClaimTag tag = claims_.state(chunk).tag;
        const bool over = tag != core::ClaimTag::free && tag != core::ClaimTag::taken;
        if (over && !told_[chunk]) {
            told_[chunk] = true;
            news_.push_back(items_of(chunk));
        }
        new_low = new_low && over;
        low_ = new_low ? chunk + 1 : low_;
    }
    return !news_.empty();
}

void MapJob::tell_progress() {
    for (const std::size_t items : std::exchange(news_, {})) {
        items_over_ += items;
        try {
            progress_(items_over_, layout_.items);
        } catch (...) {
            report_callback(std::current_exception());
        }
    }
}

void MapJob::share_is_done() {
    if (shares_left_ == 1) {
        settle();
        if (unreadable_)
            std::rethrow_exception(error_);
    }
    share_is_over(nullptr);
}

void MapJob::share_is_over(std::exception_ptr error) noexcept {
    if (error != nullptr && unreadable_)
        error_ = std::move(error); // what the pool has made of it
    else if (error != nullptr && share_error_ == nullptr)
        share_error_ = std::move(error);
    if (shares_left_ > 1) {
        --shares_left_;
        return;
    }
    settle();
    shares_left_ = 0;
    try {
        finish(error_);
    } catch (...) { // no memory for the results; for the error there need be none
        finish(std::current_exception());
    }
    block_.reset();
}

void MapJob::settle() noexcept {
    if (std::exchange(settled_, true))
        return;
    try {
        if (has_progress() && look())
            tell_progress();
    } catch (...) { // no memory; the results count all the same
        report_callback(std::current_exception());
    }
    try {
        for (std::uint64_t chunk = 0; chunk < chunks_; ++chunk)
            if (auto error = settle_chunk(chunk, error_ == nullptr))
                error_ = error_ == nullptr ? std::move(error) : error_;
    } catch (...) {
        error_ = std::current_exception();
    }
}

std::exception_ptr MapJob::settle_chunk(std::uint64_t chunk, bool wanted) {
    const core::ClaimWord state = claims_.state(chunk);
    switch (state.tag) {
    case core::ClaimTag::done:
    case core::ClaimTag::failed:
        break;
    case core::ClaimTag::lost:
        return lost_[chunk];
    default:
        return share_error_ != nullptr
                   ? share_error_
                   : std::make_exception_ptr(CorruptSharedMemory(
                         "a map has ended with a chunk that nobody has done: shared memory was "
                         "overwritten; look for a task that writes where it should not"));
    }
    arena::Space& space = table_.object().space();
    if (state.block != 0 && !space.take_from_ring(state.block, table_.object().offset(),
                                                  layout_.first_position + chunk))
        return std::make_exception_ptr(CorruptSharedMemory(
            "the result of a chunk is not where its worker says: shared memory was overwritten; "
            "look for a task that writes where it should not"));
    std::exception_ptr error;
    try {
        if (wanted) {
            std::span<const std::byte> bytes;
            if (state.block != 0)
                bytes = read_result_block(table_, state.block);
            if (state.tag == core::ClaimTag::failed)
                error = read_error(bytes);
            else
                take_chunk(items_of(chunk), bytes);
        }
    } catch (...) {
        error = std::current_exception();
        unreadable_ = true;
    }
    if (state.block != 0)
        space.free(state.block);
    return error;
}

} // namespace multifork::detail
