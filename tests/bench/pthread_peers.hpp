#pragma once

#include <pthread.h>

#include <array>
#include <cstddef>
#include <cstdint>

// The peers that the figures are compared with: what POSIX gives between processes.

namespace bench {

/// A process-shared pthread mutex.
class PthreadMutex {
public:
    explicit PthreadMutex(bool robust = false) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        if (robust)
            pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&mutex_, &attributes);
        pthread_mutexattr_destroy(&attributes);
    }
    void lock() { pthread_mutex_lock(&mutex_); }
    void unlock() { pthread_mutex_unlock(&mutex_); }
    [[nodiscard]] pthread_mutex_t* native() { return &mutex_; }

private:
    pthread_mutex_t mutex_;
};

/// A bounded ring under a process-shared mutex and two condition variables.
template <class T, std::size_t Capacity>
class PthreadRing {
public:
    PthreadRing() {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_cond_init(&not_empty_, &attributes);
        pthread_cond_init(&not_full_, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    void put(const T& item) {
        mutex_.lock();
        while (tail_ - head_ == Capacity)
            wait(not_full_, putters_);
        slots_[tail_++ % Capacity] = item;
        wake(not_empty_, getters_);
        mutex_.unlock();
    }
    T get() {
        mutex_.lock();
        while (tail_ == head_)
            wait(not_empty_, getters_);
        const T item = slots_[head_++ % Capacity];
        wake(not_full_, putters_);
        mutex_.unlock();
        return item;
    }

private:
    void wait(pthread_cond_t& condition, std::uint32_t& waiters) {
        ++waiters;
        pthread_cond_wait(&condition, mutex_.native());
        --waiters;
    }
    static void wake(pthread_cond_t& condition, std::uint32_t waiters) {
        if (waiters > 0)
            pthread_cond_signal(&condition);
    }

    PthreadMutex mutex_;
    pthread_cond_t not_empty_;
    pthread_cond_t not_full_;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
    std::uint32_t getters_ = 0;
    std::uint32_t putters_ = 0;
    std::array<T, Capacity> slots_;
};

} // namespace bench
