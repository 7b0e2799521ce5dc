#pragma once

namespace demo {

/// The first sign of life of a child process, or of its death, whichever comes first.
///
/// \code
///   Sign sign;
///   Process child{[&] { ...; sign.give(); ... }};
///   child.start();
///   if (!sign.wait()) ... // it ended before
/// \endcode
///
/// A pipe: the kernel closes the child's end when it ends, in whatever way.
class Sign {
public:
    /// \throws multifork::Error when there are no descriptors left
    Sign();
    ~Sign();
    Sign(const Sign&) = delete;
    Sign& operator=(const Sign&) = delete;

    /// In the child, once.
    void give() noexcept;
    /// In its parent, once, and before it starts another child.
    /// \return whether the sign was given; false: the child has ended without
    [[nodiscard]] bool wait() noexcept;

private:
    int reading_ = -1;
    int writing_ = -1;
};

} // namespace demo
