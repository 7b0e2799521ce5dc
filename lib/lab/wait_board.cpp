#include <multifork/error.hpp>
#include <multifork/lab/wait_board.hpp>
#include <multifork/process/this_process.hpp>

#include <fmt/format.h>

#include <optional>

namespace multifork::lab {
namespace {

constexpr std::uint64_t lock_mask = 0xFFFF;
constexpr std::uint64_t one_wait = lock_mask + 1;

arena::Object make(std::size_t seats) {
    if (seats == 0 || seats > 1024)
        throw InvalidArgument(
            fmt::format("a wait board of {} seats cannot be; ask for 1 to 1024", seats));
    return arena::Object::make(seats * sizeof(WaitBoard::Seat), arena::Kind::trace,
                               [](std::byte*) {});
}

} // namespace

WaitBoard::WaitBoard(std::size_t seats) : seats_(seats), object_(make(seats)) {}

WaitBoard::Seat& WaitBoard::seat(std::size_t index) const noexcept {
    return reinterpret_cast<Seat*>(object_.data())[index];
}

WaitBoard::Waiting WaitBoard::waits(std::size_t index, std::size_t lock) const {
    if (index >= seats_ || lock >= lock_mask)
        throw InvalidArgument(
            fmt::format("seat {} or lock {} of a wait board with {} seats", index, lock, seats_));
    return {seat(index), lock};
}

WaitBoard::Waiting::Waiting(Seat& seat, std::size_t lock) : seat_(seat) {
    seat_.pid.store(this_process::pid());
    seat_.wait.store(((seat_.wait.load() & ~lock_mask) + one_wait) | (lock + 1)); // COMMIT
}

WaitBoard::Waiting::~Waiting() {
    seat_.wait.store(seat_.wait.load() & ~lock_mask); // COMMIT
}

std::vector<WaitsFor> WaitBoard::find_circle(std::span<const Lock> locks) const {
    std::vector<std::uint64_t> before(seats_);
    for (std::size_t i = 0; i < seats_; ++i)
        before[i] = seat(i).wait.load();

    std::vector<std::optional<WaitsFor>> edges(seats_);
    for (std::size_t i = 0; i < seats_; ++i) {
        const std::uint64_t wanted = before[i] & lock_mask;
        if (wanted == 0 || wanted > locks.size())
            continue;
        const auto owner = locks[wanted - 1].owner();
        for (std::size_t j = 0; owner && owner->alive && j < seats_; ++j)
            // One that has its lock already and has not said so yet waits for nobody.
            if (j != i && seat(j).pid.load() == owner->pid)
                edges[i] = WaitsFor{i, wanted - 1, j};
    }
    for (std::size_t i = 0; i < seats_; ++i)
        if (seat(i).wait.load() != before[i])
            edges[i].reset();

    // Each waits for one: follow the edges from everywhere, and stop where the way comes back.
    for (std::size_t first = 0; first < seats_; ++first) {
        std::vector<WaitsFor> way;
        for (std::size_t at = first; edges[at] && way.size() <= seats_; at = edges[at]->holder) {
            way.push_back(*edges[at]);
            if (edges[at]->holder == first)
                return way;
        }
    }
    return {};
}

} // namespace multifork::lab
