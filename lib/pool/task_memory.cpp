#include <multifork/pool/task_memory.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

// Pieces of a few sizes. Each thread has two stacks of at most so many pieces of a size: one that
// it takes from and gives to, and one that is full or empty. A full one that is too much goes to a
// depot that all threads share, and comes back from there when both are empty. So threads that make
// tasks and threads that let them go meet once in so many tasks.
//
// Who finds somebody at the depot does without it. That is also what a forked child does whose
// parent's other thread was there: its copy stays taken for ever.

namespace multifork::detail {
namespace {

constexpr std::size_t step = 64;
constexpr std::size_t sizes = 16; // 64, 128, ... 1024 bytes; larger tasks are rare
constexpr std::uint32_t pieces_in_a_stack = 64;
constexpr std::size_t most_bytes_in_depot = 16u << 20;

struct Piece {
    Piece* next;
    Piece* next_stack; // of the first piece of a full stack in the depot
};
static_assert(sizeof(Piece) <= step);

struct Stack {
    Piece* top = nullptr;
    std::uint32_t pieces = 0;

    void push(void* memory) noexcept {
        top = ::new (memory) Piece{top, nullptr};
        ++pieces;
    }
    void* pop() noexcept {
        Piece* const piece = top;
        top = piece->next;
        --pieces;
        return piece;
    }
    void release() noexcept {
        while (pieces > 0)
            ::operator delete(pop());
    }
};

constexpr std::size_t bytes_of(std::size_t size) {
    return (size + 1) * step;
}

struct Depot {
    std::atomic_flag busy;
    std::array<Piece*, sizes> stacks{};
    std::size_t bytes = 0;

    // acquire and release of `busy` pair with each other.
    [[nodiscard]] bool keep(std::size_t size, const Stack& full) noexcept {
        if (busy.test_and_set(std::memory_order_acquire))
            return false;
        const std::size_t more = full.pieces * bytes_of(size);
        const bool fits = bytes + more <= most_bytes_in_depot;
        if (fits) {
            bytes += more;
            full.top->next_stack = stacks[size];
            stacks[size] = full.top;
        }
        busy.clear(std::memory_order_release);
        return fits;
    }
    [[nodiscard]] Stack fetch(std::size_t size) noexcept {
        if (busy.test_and_set(std::memory_order_acquire))
            return {};
        Stack full{stacks[size], 0};
        if (full.top != nullptr) {
            full.pieces = pieces_in_a_stack;
            bytes -= full.pieces * bytes_of(size);
            stacks[size] = full.top->next_stack;
        }
        busy.clear(std::memory_order_release);
        return full;
    }
};
constinit Depot depot;

constinit thread_local bool shelves_have_gone = false; // the thread is at its end

/// Constant-initialised: only its end needs to be registered, by each thread for itself.
struct Shelves {
    struct Pair {
        Stack now;
        Stack other;
    };
    std::array<Pair, sizes> pairs;

    ~Shelves() {
        shelves_have_gone = true;
        for (std::size_t size = 0; size < sizes; ++size) {
            Stack& other = pairs[size].other;
            if (other.pieces != pieces_in_a_stack || !depot.keep(size, other))
                other.release();
            pairs[size].now.release();
        }
    }
};
constinit thread_local Shelves shelves;

// There use after free is to be found, which needs memory that is not used again at once.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif
#else
constexpr bool keeps = true;
#endif

[[nodiscard]] bool has_shelf(std::size_t bytes) noexcept {
    return keeps && bytes - 1 < sizes * step && !shelves_have_gone;
}

} // namespace

void* take_task_memory(std::size_t bytes) {
    if (bytes - 1 >= sizes * step)
        return ::operator new(bytes);
    const std::size_t size = (bytes - 1) / step;
    if (!has_shelf(bytes))
        return ::operator new(bytes_of(size));
    auto& [now, other] = shelves.pairs[size];
    if (now.pieces == 0) {
        now = other.pieces > 0 ? other : depot.fetch(size);
        other = {};
        if (now.pieces == 0)
            return ::operator new(bytes_of(size));
    }
    return now.pop();
}

void give_task_memory(void* memory, std::size_t bytes) noexcept {
    if (!has_shelf(bytes)) {
        ::operator delete(memory);
        return;
    }
    const std::size_t size = (bytes - 1) / step;
    auto& [now, other] = shelves.pairs[size];
    if (now.pieces == pieces_in_a_stack) {
        if (other.pieces > 0 && !depot.keep(size, other))
            other.release();
        other = now;
        now = {};
    }
    now.push(memory);
}

} // namespace multifork::detail
