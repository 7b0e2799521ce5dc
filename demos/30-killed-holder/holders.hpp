#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace demo {

/// Something that one process at a time can hold, in shared memory.
class Holdable {
public:
    Holdable() = default;
    Holdable(const Holdable&) = delete;
    Holdable& operator=(const Holdable&) = delete;
    virtual ~Holdable() = default;

    virtual void take() = 0;
    virtual void give_back() = 0;
    /// When its only other user is dead: takes it, in whatever way is right, and gives it back.
    /// Never waits: who has it then will never give it back.
    /// \param say  called with each thing that happens
    /// \return whether it could be taken
    virtual bool try_after_death(const std::function<void(const std::string&)>& say) = 0;
};

struct Kind {
    std::string name;
    bool survives = false; ///< what this demo claims
    std::function<std::unique_ptr<Holdable>()> make;
};

/// pthread_mutex_t, sem_t, and this library's Lock and Semaphore.
[[nodiscard]] std::vector<Kind> all_kinds();

} // namespace demo
