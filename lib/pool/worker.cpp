#include <multifork/pool/core_budget.hpp>
#include <multifork/pool/task.hpp>

#include <multifork/error.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/mutant.hpp>

#include "pool/within_worker.hpp"

#include <boost/core/demangle.hpp>
#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <typeinfo>
#include <utility>

namespace multifork::detail {
namespace {

constexpr std::size_t keep_result_bytes = 1u << 20; // of the buffer, from one task to the next

/// One worker: takes tasks, runs them, says what came of it.
class Worker {
public:
    Worker(const PoolTable& pool, std::uint32_t seat)
        : pool_(pool), table_(pool.view()), seat_(seat) {}

    bool initialise(const std::function<void()>& initializer) {
        core::seat_take(table_, seat_);
        set_core_budget(part_of(table_.header->cores.load(), table_.shape.seats, seat_));
        try {
            initializer();
        } catch (const abi::__forced_unwind&) {
            throw;
        } catch (...) {
            say_initializer_failed();
            return false;
        }
        core::seat_say(table_, seat_, core::SeatStatus::ready);
        return true;
    }

    void work(std::uint64_t most_tasks) {
        std::uint64_t left = most_tasks != 0 ? most_tasks : ~std::uint64_t{0};
        while (const auto slot = core::task_take(table_, seat_)) {
            run(table_.slot(*slot), left);
            const bool last = left == 0;
            if (last) // before the parent hears of the task: it counts on a worker less at once
                table_.seat(seat_).status.store(core::SeatStatus::retired);
            core::task_done(table_, seat_, *slot);
            if (last)
                return;
        }
    }

private:
    /// \param left  the tasks that this worker may do; that many less when it has returned
    void run(core::TaskSlot& slot, std::uint64_t& left) {
        if (slot.limited == 1) {
            slot.began_ns.store(platform::monotonic_ns());
            core::tell_parent(table_);
        }
        result_.clear();
        slot.outcome = core::TaskOutcome::done;
        const arena::Cargo cargo;
        std::uint64_t item = slot.first;
        try {
            run_function(slot, item, left);
            if (slot.outcome == core::TaskOutcome::come_again)
                result_.clear(); // what is left there of the last chunk
            put_result(slot, cargo);
        } catch (const abi::__forced_unwind&) {
            throw; // pthread_exit(): the process ends, and the parent sees with which task
        } catch (...) {
            write_error(result_, item);
            slot.outcome = core::TaskOutcome::failed;
            try {
                put_result(slot, arena::Cargo());
            } catch (const Error&) {
                slot.result_block = 0; // no memory for the text either
                slot.result_bytes = 0;
            }
        }
        if (result_.capacity() > keep_result_bytes)
            result_ = {};
    }

    void run_function(core::TaskSlot& slot, std::uint64_t& item, std::uint64_t& left) {
        std::span<std::byte> bytes;
        if (slot.block != 0)
            bytes = {pool_.object().space().checked(slot.block, slot.bytes), slot.bytes};
        else if (slot.bytes <= core::inline_task_bytes)
            bytes = {const_cast<std::byte*>(slot.task.data()), slot.bytes};
        std::uint32_t length = 0;
        if (bytes.size() >= sizeof length)
            std::memcpy(&length, bytes.data(), sizeof length);
        if (bytes.size() < sizeof length || length > bytes.size() - sizeof length)
            throw CorruptSharedMemory("a task in a pool's table is no task: its memory was "
                                      "overwritten; look for a task that writes where it should "
                                      "not");
        const TaskFunction function = function_of(bytes.subspan(sizeof length, length));
        TaskRun run{
            bytes, bytes.subspan(sizeof length + length), slot.first, 0, result_, slot.first,
            pool_};
        run.limited = slot.limited != 0;
        run.left = left--; // of a call, which may throw, one less
        try {
            function(run);
        } catch (...) {
            item = run.item;
            throw;
        }
        left = left + 1 - std::min(run.done, left + 1);
        if (run.come_again)
            slot.outcome = core::TaskOutcome::come_again;
    }

    /// Looking a function up takes microseconds; a pool has few, and mostly the same again.
    TaskFunction function_of(std::span<const std::byte> token) {
        const auto known = std::find_if(functions_.begin(), functions_.end(), [&](const auto& f) {
            return std::equal(f.first.begin(), f.first.end(), token.begin(), token.end());
        });
        if (known != functions_.end()) {
            std::iter_swap(known, functions_.begin());
            return functions_.front().second;
        }
        ByteReader reader(token);
        const auto function = reinterpret_cast<TaskFunction>(read_function(reader));
        functions_.emplace_back(std::vector<std::byte>(token.begin(), token.end()), function);
        return function;
    }

    void put_result(core::TaskSlot& slot, const arena::Cargo& cargo) {
        slot.result_bytes = result_.size();
        if (result_.size() <= core::inline_result_bytes && cargo.empty()) {
            if (!result_.empty())
                std::memcpy(slot.result.data(), result_.data(), result_.size());
            return;
        }
        const std::uint64_t block = make_result_block(pool_, result_, cargo);
        // The slot first: as long as the table owns a block, a slot names it, and who finds the
        // task of a dead worker frees it.
        if (!MULTIFORK_MUTANT(result_unnamed))
            slot.result_block = block;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        pool_.object().space().give_to_ring(block, pool_.object().offset(),
                                            core::TaskState::of(slot.state.load()).position);
        if (MULTIFORK_MUTANT(result_unnamed))
            slot.result_block = block;
    }

    void say_initializer_failed() {
        const std::type_info* const type = abi::__cxa_current_exception_type();
        const std::string name =
            type == nullptr ? "an exception" : boost::core::demangle(type->name());
        std::string text;
        try {
            throw;
        } catch (const std::exception& error) {
            text = error.what();
        } catch (...) {
        }
        core::Seat& seat = table_.seat(seat_);
        const std::size_t type_bytes = std::min(name.size(), seat.text.size());
        const std::size_t text_bytes = std::min(text.size(), seat.text.size() - type_bytes);
        std::memcpy(seat.text.data(), name.data(), type_bytes);
        std::memcpy(seat.text.data() + type_bytes, text.data(), text_bytes);
        seat.error.store(static_cast<std::uint32_t>(type_bytes << 16 | text_bytes));
        core::seat_say(table_, seat_, core::SeatStatus::failed);
    }

    const PoolTable& pool_;
    core::TaskTable table_;
    std::uint32_t seat_;
    std::vector<std::byte> result_;
    std::vector<std::pair<std::vector<std::byte>, TaskFunction>> functions_;
};

} // namespace

void be_worker(const PoolTable& pool, std::uint32_t seat, std::uint64_t most_tasks,
               const std::function<void()>& initializer) {
    note_within_worker();
    Worker worker(pool, seat);
    if (!worker.initialise(initializer))
        std::exit(1);
    worker.work(most_tasks);
}

} // namespace multifork::detail
