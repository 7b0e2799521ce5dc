#include <multifork/pool/map_job.hpp>

#include <multifork/error.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/mutant.hpp>

#include <cxxabi.h>

#include <algorithm>

// A map in the hands of a worker: it claims chunk after chunk, runs it, and commits what came of
// it, an exception as well as a result, in the word of the chunk.

namespace multifork::detail {
namespace {

/// A share in work.
class Share {
public:
    Share(TaskRun& run, const MapLayout& layout)
        : run_(run), layout_(layout), claims_(claims_of(run, layout)),
          share_(static_cast<std::uint32_t>(run.first)), walk_(claims_, share_),
          table_(run.pool.view()) {}

    void go(const ChunkRunner& runner) {
        for (run_.done = 0; run_.left > 0; --run_.left, ++run_.done) {
            if (run_.limited)
                claims_.share(share_).began.store(0);
            const auto chunk = walk_.next();
            if (!chunk) {
                run_.result.clear(); // of the last chunk, which has its own block
                return;
            }
            if (run_.limited) {
                claims_.share(share_).began.store(platform::monotonic_ns());
                core::tell_parent(table_);
            }
            do_chunk(runner, *chunk);
            if (layout_.tell != 0)
                core::tell_parent(table_);
        }
        if (run_.limited)
            claims_.share(share_).began.store(0); // until somebody takes the share again
        run_.come_again = true;
    }

private:
    static core::Claims claims_of(const TaskRun& run, const MapLayout& layout) {
        const std::uint64_t size = run.bytes.size();
        if (layout.chunk_size == 0 || layout.chunks() > size || layout.shares > 0xFFFF ||
            run.first >= layout.shares || layout.claims % 64 != 0 || layout.claims > size ||
            core::Claims::bytes(static_cast<std::uint32_t>(layout.shares), layout.chunks()) >
                size - layout.claims)
            throw_bad_map();
        return {reinterpret_cast<core::ClaimHeader*>(run.bytes.data() + layout.claims),
                static_cast<std::uint32_t>(layout.shares), layout.chunks()};
    }

    void do_chunk(const ChunkRunner& runner, std::uint64_t chunk) {
        run_.first = chunk * layout_.chunk_size;
        run_.count = std::min(layout_.chunk_size, layout_.items - run_.first);
        run_.item = run_.first;
        run_.result.clear();
        const arena::Cargo cargo;
        bool failed = false;
        std::uint64_t block = 0;
        try {
            runner.run(runner.self, run_, chunk);
            if (!run_.result.empty())
                block = give(chunk, cargo);
        } catch (const abi::__forced_unwind&) {
            throw; // pthread_exit(): the process ends, and the parent sees with which chunk
        } catch (...) {
            failed = true;
            write_error(run_.result, run_.item);
            block = give_error(chunk);
        }
        walk_.done(chunk, failed, block);
    }

    [[nodiscard]] std::uint64_t give_error(std::uint64_t chunk) noexcept {
        try {
            return give(chunk, arena::Cargo());
        } catch (...) {
            return 0; // no memory for the text either
        }
    }

    /// Makes a block of what is in the result, and gives it to the table.
    [[nodiscard]] std::uint64_t give(std::uint64_t chunk, const arena::Cargo& cargo) {
        const std::uint64_t block = make_result_block(run_.pool, run_.result, cargo);
        // Named first: as long as the table owns a block, a share or a chunk names it.
        if (!MULTIFORK_MUTANT(making_unnamed))
            claims_.share(share_).making.store(block);
        run_.pool.object().space().give_to_ring(block, run_.pool.object().offset(),
                                                layout_.first_position + chunk);
        return block;
    }

    TaskRun& run_;
    const MapLayout& layout_;
    core::Claims claims_;
    std::uint32_t share_;
    core::ClaimWalk walk_;
    core::TaskTable table_;
};

} // namespace

void run_share(TaskRun& run, const MapLayout& layout, const ChunkRunner& runner) {
    Share(run, layout).go(runner);
}

void throw_bad_map() {
    throw CorruptSharedMemory("the block of a map does not hold what it says: its memory was "
                              "overwritten; look for a task that writes where it should not");
}

} // namespace multifork::detail
