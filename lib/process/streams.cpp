#include "process/streams.hpp"

#include <stdio_ext.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <ctime>

// The list of all streams, with its lock. Every glibc has these functions, and no header.
extern "C" {
void _IO_list_lock() noexcept;
void _IO_list_unlock() noexcept;
std::FILE* _IO_iter_begin() noexcept;
std::FILE* _IO_iter_next(std::FILE*) noexcept;
}

namespace multifork::detail {
namespace {

/// While it is there no stream is opened or closed by another thread, and none forks.
class AllStreams {
public:
    AllStreams() noexcept { _IO_list_lock(); }
    ~AllStreams() { _IO_list_unlock(); }
    AllStreams(const AllStreams&) = delete;
    AllStreams& operator=(const AllStreams&) = delete;

    class Iterator {
    public:
        explicit Iterator(std::FILE* stream) noexcept : stream_(stream) {}
        std::FILE* operator*() const noexcept { return stream_; }
        Iterator& operator++() noexcept {
            stream_ = _IO_iter_next(stream_);
            return *this;
        }
        bool operator==(const Iterator&) const noexcept = default;

    private:
        std::FILE* stream_;
    };
    [[nodiscard]] Iterator begin() const noexcept { return Iterator{_IO_iter_begin()}; }
    [[nodiscard]] Iterator end() const noexcept { return Iterator{nullptr}; }
};

/// Looked at without the stream's lock: who holds it may be about to change that.
bool keeps_output(std::FILE* stream) noexcept {
    return ::__fpending(stream) != 0;
}

/// The caller holds a lock. What fflush(nullptr) does, and not what fflush() does, which would also
/// write to the two variables of an open_memstream().
void write_out(std::FILE* stream) noexcept {
    static_cast<void>(::__overflow(stream, EOF));
}

/// Those that have had their turn: one without a descriptor may keep what it has.
class Done {
public:
    [[nodiscard]] bool has(const std::FILE* stream) const noexcept {
        return std::find(streams_.begin(), streams_.begin() + count_, stream) !=
               streams_.begin() + count_;
    }
    [[nodiscard]] bool full() const noexcept { return count_ == capacity; }
    void add(const std::FILE* stream) noexcept {
        if (!full())
            streams_.at(static_cast<std::size_t>(count_++)) = stream;
    }

private:
    static constexpr std::ptrdiff_t capacity = 64; // with output at the same time
    std::array<const std::FILE*, capacity> streams_{};
    std::ptrdiff_t count_ = 0;
};

/// Neither: all is written.
struct Found {
    std::FILE* locked = nullptr; ///< one with output, for the caller to write out and to unlock
    bool held = false;           ///< there is one to be waited for
};

/// A stream that is locked here cannot be closed meanwhile, and the list can be let go: a slow pipe
/// would otherwise keep all threads from opening a stream, and so perhaps the one that empties it.
Found lock_one(Done& done, Busy busy) noexcept {
    bool held = false;
    const AllStreams streams;
    for (std::FILE* const stream : streams) {
        if (!keeps_output(stream) || done.has(stream))
            continue;
        if (::__fsetlocking(stream, FSETLOCKING_QUERY) == FSETLOCKING_BYCALLER) {
            write_out(stream); // here: only the list's lock keeps it from being closed
            done.add(stream);
        } else if (::ftrylockfile(stream) != 0) {
            held |= busy == Busy::awaited || stream == stdout || stream == stderr;
        } else if (done.full()) {
            write_out(stream);
            ::funlockfile(stream);
        } else {
            done.add(stream);
            return {.locked = stream};
        }
    }
    return {.held = held};
}

} // namespace

void flush_streams(Busy busy) noexcept {
    Done done;
    for (long pause_ns = 1'000;;) {
        const Found found = lock_one(done, busy);
        if (found.locked != nullptr) {
            write_out(found.locked);
            ::funlockfile(found.locked);
        } else if (found.held) {
            // Not by its lock: a thread that has written may go on and read, with the lock held.
            const timespec pause{0, pause_ns};
            ::nanosleep(&pause, nullptr);
            pause_ns = std::min(pause_ns * 2, 10'000'000L);
        } else {
            return;
        }
    }
}

// The parent flushed before the fork, but not what another of its threads was just writing, nor
// what one wrote since. A stream without a descriptor keeps its text for this process.
void drop_inherited_output() noexcept {
    const AllStreams streams;
    for (std::FILE* const stream : streams)
        if (keeps_output(stream) && ::fileno(stream) >= 0)
            ::__fpurge(stream);
}

} // namespace multifork::detail
