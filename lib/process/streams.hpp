#pragma once

// What stdio keeps in its buffers, of all streams that are open.

namespace multifork::detail {

/// What to do about a stream that another thread is just writing to.
enum class Busy : bool {
    left,   ///< leave it to that thread, unless it is stdout or stderr
    awaited ///< wait until that thread is through with it
};

/// Writes it out, as fflush(nullptr) does. Nobody who reads is waited for: he may hold his stream's
/// lock until the other side says something, and a stream that is being read keeps no output. And
/// no lock is held while another one is waited for, so that this makes no circle with anything.
void flush_streams(Busy busy) noexcept;

/// In a forked child: what its parent's streams kept at the fork is the parent's to write.
void drop_inherited_output() noexcept;

} // namespace multifork::detail
