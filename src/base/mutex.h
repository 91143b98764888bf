// std::mutex with clang's thread-safety annotations.
//
// Why here:  clean under TSan on libstdc++ 12, where std::atomic<std::shared_ptr> and Debian's
//            absl::Mutex report races, and checked by clang's -Wthread-safety.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define EXEAT_TSA(x) __attribute__((x))
#else
#define EXEAT_TSA(x)
#endif

#define CAPABILITY(x) EXEAT_TSA(capability(x))
#define SCOPED_CAPABILITY EXEAT_TSA(scoped_lockable)
// Abseil's headers define these two with the same meaning.
#ifndef GUARDED_BY
#define GUARDED_BY(x) EXEAT_TSA(guarded_by(x))
#endif
#define REQUIRES(...) EXEAT_TSA(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) EXEAT_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) EXEAT_TSA(release_capability(__VA_ARGS__))
#define EXCLUDES(...) EXEAT_TSA(locks_excluded(__VA_ARGS__))
#ifndef NO_THREAD_SAFETY_ANALYSIS
#define NO_THREAD_SAFETY_ANALYSIS EXEAT_TSA(no_thread_safety_analysis)
#endif

namespace exeat::base {

class CAPABILITY("mutex") Mutex {
 public:
  void Lock() ACQUIRE() { mutex_.lock(); }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds; wake-ups may be spurious, so wait in a loop.
class CondVar {
 public:
  void Wait(Mutex& mutex) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when `timeout` passed first.
  template <class Rep, class Period>
  bool WaitFor(Mutex& mutex, std::chrono::duration<Rep, Period> timeout)
      REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

// A shared immutable value that readers take and a writer replaces whole: the snapshots of the
// decision path. A reader holds the lock for one pointer copy, never for the writer's work.
template <class T>
class Published {
 public:
  void Set(T value) {
    MutexLock lock(mutex_);
    std::swap(value_, value);
  }
  T Get() const {
    MutexLock lock(mutex_);
    return value_;
  }

 private:
  mutable Mutex mutex_;
  T value_ GUARDED_BY(mutex_){};
};

}  // namespace exeat::base
