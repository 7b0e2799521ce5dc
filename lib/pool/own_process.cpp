#include "pool/own_process.hpp"

#include "platform/system.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace multifork::detail {
namespace {

constexpr std::size_t page_bytes = 4096;

} // namespace

OwnProcess::OwnProcess() : pid_(::getpid()) {
    void* const page =
        ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        platform::throw_errno("mmap of a page for a pool");
    if (::madvise(page, page_bytes, MADV_WIPEONFORK) != 0) {
        const int error = errno;
        ::munmap(page, page_bytes);
        errno = error;
        platform::throw_errno("MADV_WIPEONFORK (Linux 4.14)");
    }
    made_here_ = static_cast<volatile int*>(page);
    *made_here_ = 1;
}

OwnProcess::~OwnProcess() {
    ::munmap(const_cast<int*>(made_here_), page_bytes);
}

} // namespace multifork::detail
