#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/lab/trace.hpp>
#include <multifork/liveness/thread_word.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// Step gates: several processes, the parts, stop before each of their steps, and one other, the
// director, says who makes the next one. So any order of their steps can be forced, again and
// again.
//
//   offset 0          header, 64 bytes: the director's name   written once, by who makes the gate
//   offset 64+64*i    part i
//     0   arrivals    how often it has stood at the gate      the part; COMMIT of `next`
//         bit 31      it will not come again                  the part, with its last arrival
//     4   turns       how many steps it may make in all       the director; COMMIT of a permission
//     8   name        the part's name                         the part, before its first arrival
//    16   next        what it is about to do                  the part, while it is not at the gate
//
//   arrivals == turns          the part runs (at first: it has not come yet)
//   arrivals == turns + 1      it stands at the gate
//   turns == open              it never stops any more
//
//   part      next = ...;  arrivals + 1 (COMMIT);  wake the director;  sleep while turns < arrivals
//   director  turns + 1 (COMMIT);  wake the part;  sleep while arrivals == turns
//
// Each of the two words has one writer and one who sleeps on it. Both sleepers also name the beacon
// of the one they wait for, so that neither hangs when the other is killed:
//
//   a part dies       the director finds a dead name, before the part's commit and after it
//   the director dies the parts find a dead name; step() throws.
//
// Who is killed between its commit and the wake-up owes one: its beacon and bell pay it. A part
// that is killed before it has come for the first time has no name yet: see join().

namespace multifork::lab {

/// What a part is about to do.
struct Step {
    Access access = Access::mark;
    std::uint16_t object = 0;
    std::int64_t value = 0;
};

/// Where a part is.
enum class Standing : std::uint8_t {
    running, ///< between two steps, or not yet there
    parked,  ///< at the gate
    gone,    ///< it has left in an orderly way
    dead,    ///< it was killed, or ended without leaving
};

/// Makes processes take their steps one at a time, in an order that somebody else chooses.
///
/// \code
///   lab::StepGate gate(2);                                     // the caller is the director
///   mp::Process child{[&] { auto part = gate.part(0); part.step({Access::load}); ... }};
///   child.start();
///   while (gate.wait(0) == lab::Standing::parked) gate.allow(0);
/// \endcode
///
/// A StepGate is a handle: what a forked child inherits means the same gate.
///
/// \threads   one thread directs: the one that made the gate; each part is one thread
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     nobody waits for a part, or a director, that has died
/// \blocks    on a futex; \cost two wake-ups and two sleeps a step
class MULTIFORK_API StepGate {
public:
    /// \throws InvalidArgument for no part or more than 1024; OutOfSharedMemory
    explicit StepGate(std::size_t parts);

    struct Cell {
        std::atomic<std::uint32_t> arrivals;
        std::atomic<std::uint32_t> turns;
        std::atomic<std::uint64_t> name;
        Step next;
        std::byte padding[64 - 16 - sizeof(Step)];
    };
    static_assert(sizeof(Step) == 16 && sizeof(Cell) == 64);

    /// A part's end of the gate.
    class MULTIFORK_API Part {
    public:
        /// Stops until the director allows the step. \throws Error when the director has died
        void step(const Step& next);
        /// Says that no step will follow. Twice is once.
        void leave() noexcept;

    private:
        friend class StepGate;
        Part(const StepGate& gate, Cell& cell);
        void arrive(std::uint32_t bits) noexcept;

        StepGate const* gate_;
        Cell* cell_;
        std::uint32_t arrivals_ = 0;
    };
    /// Joins as that part: from here on the director knows whom it waits for.
    /// Whoever starts the parts should wait for this, or for the process's end, before wait().
    /// \throws InvalidArgument when there is no such part
    [[nodiscard]] Part part(std::size_t index) const;

    /// \name For the director
    /// @{
    /// Where the part is at this moment; never blocks.
    [[nodiscard]] Standing look(std::size_t index) const noexcept;
    /// Waits until the part is not running. A part that sleeps within its step for something that
    /// only another part can give keeps the director waiting: look() at it instead.
    Standing wait(std::size_t index) const;
    /// What a parked part is about to do.
    [[nodiscard]] Step next(std::size_t index) const noexcept;
    /// Lets a parked part make its step. Does not wait.
    void allow(std::size_t index);
    /// Lets the part run to its end without stopping.
    void open(std::size_t index);
    /// @}

    [[nodiscard]] std::size_t parts() const noexcept { return parts_; }

private:
    [[nodiscard]] Cell& cell(std::size_t index) const noexcept;
    void permit(std::size_t index, std::uint32_t turns);

    std::size_t parts_;
    liveness::ThreadWord director_; ///< its own copy: the word in shared memory is for the curious
    arena::Object object_;
};

} // namespace multifork::lab
