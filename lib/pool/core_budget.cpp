#include <multifork/pool/core_budget.hpp>

#include <multifork/process/cpu_count.hpp>

#include <atomic>

namespace multifork {
namespace {

constinit std::atomic<std::uint32_t> own_budget{0}; // 0: no worker of a pool, nor a fork of one

} // namespace

int core_budget() {
    // relaxed: a worker sets it before any other thread of it is there
    const std::uint32_t own = own_budget.load(std::memory_order_relaxed);
    return own != 0 ? static_cast<int>(own) : cpu_count();
}

void detail::set_core_budget(std::uint32_t cores) noexcept {
    own_budget.store(cores, std::memory_order_relaxed);
}

} // namespace multifork
