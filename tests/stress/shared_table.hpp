#pragma once

#include <cstddef>
#include <new>
#include <stdexcept>

#include <sys/mman.h>

namespace multifork::test {

/// A T in memory that this process shares with the children it forks. Not the arena: a test's
/// book-keeping must not lean on what it tests.
template <class T>
class SharedTable {
public:
    SharedTable() {
        void* const page = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (page == MAP_FAILED)
            throw std::runtime_error("no memory for a shared table");
        table_ = static_cast<T*>(page); // of atomics, which zero bytes are a valid state of
    }
    ~SharedTable() { ::munmap(table_, sizeof(T)); }
    SharedTable(const SharedTable&) = delete;
    SharedTable& operator=(const SharedTable&) = delete;

    T* operator->() const { return table_; }
    T& operator*() const { return *table_; }

private:
    T* table_;
};

} // namespace multifork::test
