#pragma once

#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/pool/task.hpp>
#include <multifork/process/target.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

// A worker of a pool dies somewhere between taking its seat and being done with one task, whose
// result is too large for the slot. The parent, which is the test, then finds the task queued, or
// taken by the dead and its result's block gone, or done and the block whole.

namespace multifork::test::crash::worker_scenarios {

inline constexpr std::uint32_t victims_seat = 0;
inline constexpr std::uint32_t partners_seat = 1;
inline constexpr std::size_t result_bytes = 1000;

inline void large_result(detail::TaskRun& run) {
    run.result.assign(result_bytes, std::byte{42});
}

class World {
public:
    void fresh() {
        table_.emplace(core::TaskShape{2, 8});
        arena::tree_space().sweep();
        before_ = arena::arena_usage();
        put(0);
    }
    /// A worker that does one task.
    void work(std::uint32_t seat) const {
        detail::be_worker(*table_, seat, 1, [] {});
    }

    void expect_accounted_for(const Round& round) {
        const core::TaskTable table = table_->view();
        core::TaskSlot& slot = table.slot(0);
        const auto state = [&] { return core::TaskState::of(slot.state.load()); };
        if (state().tag == core::TaskTag::queued) {
            require(!round.finished(), "a worker has ended without its task");
            core::task_wake_all(table);
            work(partners_seat);
        }
        arena::Space& space = table_->object().space();
        const std::uint64_t position = state().position;
        const bool has_block =
            slot.result_block != 0 &&
            space.take_from_ring(slot.result_block, table_->object().offset(), position);
        if (state().tag == core::TaskTag::done) {
            if (!has_block && saw_a_breakpoint(slot))
                return;
            if (!has_block)
                throw Failure("a task is done by seat " + std::to_string(state().seat) +
                              ", and its result is nobody's: " + what_it_says(slot));
            const auto bytes = detail::read_result_block(*table_, slot.result_block);
            require(bytes.size() == result_bytes, "a result is torn");
            for (const std::byte byte : bytes)
                require(byte == std::byte{42}, "a result is torn");
        } else {
            require(state().tag == core::TaskTag::taken && state().seat == victims_seat,
                    "a task is neither done nor that of the dead");
            require(!round.finished(), "a worker has ended with a task that is not done");
        }
        if (has_block)
            space.free(slot.result_block);
        space.sweep();
        require(arena::arena_usage().blocks_used == before_.blocks_used, "blocks leak");
    }

private:
    /// The harness kills by breakpoints, and where one is among the first bytes of the task's
    /// function the library takes that for another function.
    [[nodiscard]] bool saw_a_breakpoint(const core::TaskSlot& slot) const {
        return what_it_says(slot).find("another build of it") != std::string::npos;
    }
    [[nodiscard]] std::string what_it_says(const core::TaskSlot& slot) const {
        if (slot.outcome != core::TaskOutcome::failed || slot.result_block != 0)
            return "block " + std::to_string(slot.result_block);
        try {
            std::rethrow_exception(detail::read_error(
                std::span<const std::byte>(slot.result).first(slot.result_bytes)));
        } catch (const std::exception& error) {
            return error.what();
        }
    }
    void put(std::uint32_t at) {
        std::vector<std::byte> token;
        ByteWriter writer(token);
        detail::write_function(writer, reinterpret_cast<detail::AnyFunction>(&large_result));
        const auto length = static_cast<std::uint32_t>(token.size());
        core::TaskSlot& slot = table_->view().slot(at);
        slot.block = 0;
        slot.bytes = sizeof length + token.size();
        std::memcpy(slot.task.data(), &length, sizeof length);
        std::memcpy(slot.task.data() + sizeof length, token.data(), token.size());
        slot.limited = 0;
        slot.result_block = 0;
        require(core::task_put(table_->view(), at), "there is no room for a task");
    }

    std::optional<detail::PoolTable> table_;
    arena::SpaceUsage before_;
};

inline Scenario large_result_of_a_worker() {
    const auto world = std::make_shared<World>();
    Scenario scenario;
    scenario.name = "a worker, one task, a large result";
    scenario.set_up = [world] { world->fresh(); };
    scenario.prepare = [world] { liveness::enter(arena::tree_space().domain()); };
    scenario.operation = [world] { world->work(victims_seat); };
    scenario.check = [world](Round& round) { world->expect_accounted_for(round); };
    return scenario;
}

} // namespace multifork::test::crash::worker_scenarios
