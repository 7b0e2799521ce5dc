#include "holders.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include <cerrno>
#include <new>

namespace demo {
namespace mp = multifork;
namespace {

void check(int error, const char* what) {
    if (error != 0)
        throw mp::Error(std::error_code(error, std::generic_category()), what);
}

/// A T in memory that forked children share.
template <class T>
class Shared {
public:
    Shared() {
        void* const at =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            check(errno, "cannot map shared memory");
        object_ = new (at) T;
    }
    ~Shared() { ::munmap(object_, sizeof(T)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T* operator&() noexcept { return object_; } // NOLINT: it stands for the T

private:
    T* object_;
};

class PthreadMutex : public Holdable {
public:
    PthreadMutex() {
        pthread_mutexattr_t attributes;
        check(::pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
        check(::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "setpshared");
        check(::pthread_mutex_init(&mutex_, &attributes), "pthread_mutex_init");
        ::pthread_mutexattr_destroy(&attributes);
    }
    void take() override { check(::pthread_mutex_lock(&mutex_), "pthread_mutex_lock"); }
    void give_back() override { check(::pthread_mutex_unlock(&mutex_), "pthread_mutex_unlock"); }
    bool try_after_death(const std::function<void(const std::string&)>& say) override {
        if (::pthread_mutex_trylock(&mutex_) != 0) {
            say("!locked for ever");
            return false;
        }
        say("lock");
        give_back();
        return true;
    }

private:
    Shared<pthread_mutex_t> mutex_;
};

class PosixSemaphore : public Holdable {
public:
    PosixSemaphore() { check(::sem_init(&semaphore_, 1, 1) == 0 ? 0 : errno, "sem_init"); }
    void take() override {
        while (::sem_wait(&semaphore_) != 0)
            if (errno != EINTR)
                check(errno, "sem_wait");
    }
    void give_back() override { check(::sem_post(&semaphore_) == 0 ? 0 : errno, "sem_post"); }
    bool try_after_death(const std::function<void(const std::string&)>& say) override {
        if (::sem_trywait(&semaphore_) != 0) {
            say("!permit gone for ever");
            return false;
        }
        say("sem_wait");
        give_back();
        return true;
    }

private:
    Shared<sem_t> semaphore_;
};

class OurLock : public Holdable {
public:
    void take() override { lock_.lock(); }
    void give_back() override { lock_.unlock(); }
    bool try_after_death(const std::function<void(const std::string&)>& say) override {
        try {
            if (!lock_.try_lock())
                return false;
        } catch (const mp::OwnerDied&) {
            say("OwnerDied");
            if (!lock_.recover([&] { say("recover()"); }) || !lock_.try_lock())
                return false;
        }
        say("lock()");
        lock_.unlock();
        return true;
    }

private:
    mp::Lock lock_;
};

class OurSemaphore : public Holdable {
public:
    void take() override { semaphore_.acquire(); }
    void give_back() override { semaphore_.release(); }
    bool try_after_death(const std::function<void(const std::string&)>& say) override {
        if (!semaphore_.try_acquire())
            return false;
        say("acquire()");
        semaphore_.release();
        return true;
    }

private:
    mp::Semaphore semaphore_{1};
};

} // namespace

std::vector<Kind> all_kinds() {
    return {
        {"pthread_mutex_t", false, [] { return std::make_unique<PthreadMutex>(); }},
        {"Lock", true, [] { return std::make_unique<OurLock>(); }},
        {"sem_t", false, [] { return std::make_unique<PosixSemaphore>(); }},
        {"Semaphore", true, [] { return std::make_unique<OurSemaphore>(); }},
    };
}

} // namespace demo
