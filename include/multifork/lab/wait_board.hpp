#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/sync/lock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// The wait board: who waits for which lock. Who *holds* a lock the lock itself says; with both a
// circle of processes that wait for each other can be found.
//
//   offset 64*i   seat i, written by its process alone
//     0   wait    sequence << 16 | lock + 1; lock + 1 is 0 when it waits for nothing   (COMMIT)
//     8   pid     before its first wait
//
// The sequence grows with each wait, so that two equal readings mean one and the same wait that
// went on in between. A process that is killed leaves a wait without an end; but a lock that it
// held says that its owner is dead, so it is never part of a circle.

namespace multifork::lab {

/// `waiter` waits for `lock`, which `holder` holds.
struct WaitsFor {
    std::size_t waiter = 0;
    std::size_t lock = 0;
    std::size_t holder = 0;
};

/// Finds deadlocks among processes that say what they wait for.
///
/// \code
///   { const auto waiting = board.waits(me, 1); locks[1].lock(); }      // in each process
///   if (const auto circle = board.find_circle(locks); !circle.empty()) // in any
/// \endcode
///
/// A circle that it finds is one, and stays one: see find_circle().
///
/// \threads   a seat belongs to one thread, and a process has one seat
/// \processes safe \fork the child inherits the handle
/// \crash     a killed process is part of no circle
class MULTIFORK_API WaitBoard {
public:
    /// \throws InvalidArgument for no seat or more than 1024; OutOfSharedMemory
    explicit WaitBoard(std::size_t seats);

    struct Seat {
        std::atomic<std::uint64_t> wait;
        std::atomic<std::int64_t> pid;
        std::byte padding[48];
    };
    static_assert(sizeof(Seat) == 64);

    /// Says, while it lives, that the process of that seat waits.
    class MULTIFORK_API Waiting {
    public:
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
        ~Waiting();

    private:
        friend class WaitBoard;
        Waiting(Seat& seat, std::size_t lock);
        Seat& seat_;
    };
    /// \param lock  an index, the same for all. Make it before lock(), drop it after.
    [[nodiscard]] Waiting waits(std::size_t seat, std::size_t lock) const;

    /// Processes that wait for each other in a circle, each for a lock that the next one holds;
    /// empty when there is none.
    ///
    /// The board is read, then the owners, then the board again; only waits that went on meanwhile
    /// count. None of those processes has unlocked anything in between, so whoever held a lock then
    /// holds it still: this is no guess. One that waits for what it holds itself is not told: it
    /// looks like one that has just got it.
    [[nodiscard]] std::vector<WaitsFor> find_circle(std::span<const Lock> locks) const;

private:
    [[nodiscard]] Seat& seat(std::size_t index) const noexcept;

    std::size_t seats_;
    arena::Object object_;
};

} // namespace multifork::lab
