#pragma once

#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/map_job.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A worker dies somewhere in its share of a map. The parent, which is the test, then finds each
// chunk free, done, or taken by the dead; others do what is free, and each chunk has been run once
// and is done, or is the one that was lost. No block stays.

namespace multifork::test::crash::map_scenarios {

inline constexpr std::uint64_t chunks = 5;
inline constexpr std::uint32_t victims_share = 0;
inline constexpr std::uint32_t partners_share = 1;

/// A result that lies in a block, as long as it says.
template <std::size_t Bytes>
struct Result {
    static constexpr std::size_t bytes = Bytes;
    static void make(std::vector<std::byte>& result, std::uint64_t chunk) {
        result.assign(Bytes, std::byte(chunk + 1));
    }
    static bool whole(std::span<const std::byte> result, std::uint64_t chunk) {
        for (const std::byte byte : result)
            if (byte != std::byte(chunk + 1))
                return false;
        return result.size() == Bytes;
    }
};

/// A map without types: what its chunks gave.
class Map final : public detail::MapJob {
public:
    using MapJob::MapJob;
    std::vector<std::vector<std::byte>> results; // of the chunks that are done, in their order
    std::exception_ptr error;
    bool finished = false;

private:
    void take_chunk(std::uint64_t, std::span<const std::byte> bytes) override {
        results.emplace_back(bytes.begin(), bytes.end());
    }
    void finish(std::exception_ptr first) override {
        error = std::move(first);
        finished = true;
    }
};

template <class R>
class World {
public:
    void fresh(bool tries_again) {
        tries_again_ = tries_again;
        job_.reset();
        block_.reset();
        if (!table_)
            table_.emplace(core::TaskShape{2, 8});
        arena::tree_space().sweep();
        before_ = arena::arena_usage();
        layout_ = {};
        layout_.items = chunks;
        layout_.chunk_size = 1;
        layout_.shares = 2;
        layout_.claims = begun_bytes;
        layout_.first_position = detail::MapJob::positions(chunks);
        job_ = std::make_shared<Map>(*table_, nullptr);
        block_ = std::make_shared<detail::TaskBlock>(
            table_->object(), layout_.claims + core::Claims::bytes(2, chunks));
        std::memset(block_->data(), 0, layout_.claims);
        job_->begin(block_, layout_);
        block_->publish(arena::Cargo());
    }

    /// For the victim, before the marker: its thread is attached, and all code has run.
    void warm_up() {
        liveness::enter(arena::tree_space().domain());
        std::vector<std::byte> bytes;
        R::make(bytes, 0);
        const std::uint64_t block = detail::make_result_block(*table_, bytes, arena::Cargo());
        arena::tree_space().free(block);
        result_.reserve(R::bytes);
    }

    void work(std::uint32_t share) {
        const detail::ChunkRunner runner{
            nullptr, [](void*, detail::TaskRun& run, std::uint64_t chunk) {
                reinterpret_cast<std::atomic<std::uint32_t>*>(run.bytes.data())[chunk] += 1;
                R::make(run.result, chunk);
            }};
        detail::TaskRun run{{block_->data(), block_->bytes()}, {}, share, 1, result_, 0, *table_};
        run.left = ~std::uint64_t{0};
        detail::run_share(run, layout_, runner);
    }

    /// What the collector does when it has reaped the victim, and then the other workers.
    void expect_all_accounted_for(const Round& round) {
        const auto lost = job_->bury(victims_share);
        if (lost) {
            require(!round.finished(), "a share has ended with a chunk that is not done");
            if (tries_again_)
                job_->give_back(*lost);
            else
                job_->lose(*lost, std::make_exception_ptr(WorkerDied({})));
        }
        work(partners_share);
        work(victims_share); // another worker has got it
        for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
            const std::uint32_t times = begun(chunk);
            const bool this_one = lost && *lost == chunk;
            require(this_one || times == 1, "chunk " + std::to_string(chunk) + " was run " +
                                                std::to_string(times) +
                                                " times, and it is not the one that died");
            require(times <= (this_one && tries_again_ ? 2u : 1u), "a chunk was run twice");
        }
        job_->share_is_over(nullptr);
        job_->share_is_over(nullptr);
        require(job_->finished, "the map has not ended with its shares");
        if (lost && !tries_again_)
            require(job_->error != nullptr, "a lost chunk is passed in silence");
        else
            expect_results();
        job_.reset();
        block_.reset();
        arena::tree_space().sweep();
        require(arena::arena_usage().blocks_used == before_.blocks_used, "blocks leak");
    }

    [[nodiscard]] std::string state() const {
        return job_ == nullptr ? "no map" : "a map of " + std::to_string(job_->chunks());
    }

private:
    static constexpr std::uint64_t begun_bytes = 64; // one word a chunk

    [[nodiscard]] std::uint32_t begun(std::uint64_t chunk) const {
        return reinterpret_cast<std::atomic<std::uint32_t>*>(block_->data())[chunk].load();
    }
    void expect_results() {
        require(job_->error == nullptr, "a map has failed of which no chunk was lost");
        require(job_->results.size() == chunks, "results are missing");
        for (std::uint64_t chunk = 0; chunk < chunks; ++chunk)
            require(R::whole(job_->results[chunk], chunk), "a result is torn");
    }

    std::optional<detail::PoolTable> table_;
    std::shared_ptr<Map> job_;
    std::shared_ptr<detail::TaskBlock> block_;
    detail::MapLayout layout_;
    std::vector<std::byte> result_;
    arena::SpaceUsage before_;
    bool tries_again_ = false;
};

template <class R>
Scenario share(const char* name, bool tries_again) {
    const auto world = std::make_shared<World<R>>();
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world, tries_again] { world->fresh(tries_again); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.operation = [world] { world->work(victims_share); };
    scenario.check = [world](Round& round) { world->expect_all_accounted_for(round); };
    scenario.state = [world] { return world->state(); };
    return scenario;
}

/// Another worker is in the middle of the same map.
template <class R>
Scenario share_beside_another() {
    const auto world = std::make_shared<World<R>>();
    Scenario scenario = share<R>("", false);
    scenario.name = "a share in a map, another worker beside";
    scenario.set_up = [world] { world->fresh(false); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.operation = [world] { world->work(victims_share); };
    scenario.late = {[world] {
        world->work(partners_share);
        return std::uint64_t{1};
    }};
    scenario.check = [world](Round& round) {
        round.expect_all_done("a worker waits for a dead one");
        world->expect_all_accounted_for(round);
    };
    scenario.state = [world] { return world->state(); };
    return scenario;
}

} // namespace multifork::test::crash::map_scenarios
