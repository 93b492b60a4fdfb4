// The parts of libc and the atomics that the kernels use: Embedded Swift gets its C functions through this module.
#ifndef SPINETAIL_SYSTEM_H
#define SPINETAIL_SYSTEM_H

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin

static inline __attribute__((always_inline)) int64_t spinetail_atomic_load(const int64_t *p) {
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline __attribute__((always_inline)) void spinetail_atomic_store(int64_t *p, int64_t value) {
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}

/// Returns the value before the addition.
static inline __attribute__((always_inline)) int64_t spinetail_atomic_add(int64_t *p, int64_t value) {
    return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}

/// Returns the value before the exchange.
static inline __attribute__((always_inline)) int64_t spinetail_atomic_exchange(int64_t *p, int64_t value) {
    return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
}

/// Stores `value` if the word still is `expected`; says whether it did.
static inline __attribute__((always_inline)) int spinetail_atomic_replace(int64_t *p, int64_t expected, int64_t value) {
    return __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/// Tells the core that this is a spin loop.
static inline __attribute__((always_inline)) void spinetail_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline __attribute__((always_inline)) void spinetail_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
/// The same into the second-level cache only.
static inline __attribute__((always_inline)) void spinetail_prefetch_far(const void *p) { __builtin_prefetch(p, 0, 2); }
/// Of memory that will be written.
static inline __attribute__((always_inline)) void spinetail_prefetch_write(void *p) { __builtin_prefetch(p, 1, 3); }

/// The same number, of which the compiler no longer knows where it came from.
static inline __attribute__((always_inline)) int64_t spinetail_opaque(int64_t x) {
    __asm__("" : "+r"(x));
    return x;
}

/// Monotonic nanoseconds.
static inline int64_t spinetail_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/// Starts a detached thread that no asynchronous signal is delivered to: signals belong to the program's own threads,
/// so they are blocked here and inherited, and there is no moment at which the new thread could receive one.
static inline int spinetail_start_thread(void *_Nullable (*_Nonnull body)(void *_Nullable), void *argument) {
    static const int synchronous[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked, before;
    pthread_t thread;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++) sigdelset(&blocked, synchronous[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int failure = pthread_create(&thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) pthread_detach(thread);
    return failure;
}

/// The floating-point control word: rounding mode and flushing of subnormals. Helpers compute under their caller's, so
/// that a result does not depend on which thread made it.
static inline __attribute__((always_inline)) uint64_t spinetail_float_control(void) {
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & ~(uint64_t)0x3f;  // without the sticky exception flags
#elif defined(__aarch64__)
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
#else
    return 0;
#endif
}

static inline __attribute__((always_inline)) void spinetail_set_float_control(uint64_t word) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((unsigned)word);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(word));
#else
    (void)word;
#endif
}

/// Processors that this process may run on.
static inline int64_t spinetail_processors(void) {
#if defined(__linux__)
    uint64_t mask[128] = {0};
    int64_t count = 0;
    if (syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) > 0) {
        for (size_t i = 0; i < sizeof mask / sizeof *mask; i++) count += __builtin_popcountll(mask[i]);
        return count;
    }
#endif
    return sysconf(_SC_NPROCESSORS_ONLN);
}

#if defined(__linux__)
extern int sched_getcpu(void);  // sched.h has it for GNU's sources only
#endif

/// The processor that this thread is on, or -1 where that is not known.
static inline int64_t spinetail_processor(void) {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

/// Moves this thread to another processor, if the process may use more than `threads` of them. The mask of processors that
/// it may run on is narrowed for that moment only; one that somebody else sets meanwhile stays.
static inline void spinetail_leave_processor(int64_t processor, int64_t threads) {
#if defined(__linux__)
    uint64_t mask[128] = {0}, others[128], now[128] = {0};
    if (processor < 0 || processor >= (int64_t)sizeof mask * 8) return;
    if (spinetail_processors() <= threads || syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) <= 0) return;
    memcpy(others, mask, sizeof mask);
    others[processor / 64] &= ~((uint64_t)1 << processor % 64);
    if (syscall(SYS_sched_setaffinity, 0, sizeof others, others) != 0) return;
    if (syscall(SYS_sched_getaffinity, 0, sizeof now, now) > 0 && memcmp(now, others, sizeof now) == 0) {
        syscall(SYS_sched_setaffinity, 0, sizeof mask, mask);
    }
#else
    (void)processor, (void)threads;
#endif
}

static inline int spinetail_try_lock(int64_t *p) { return __atomic_exchange_n(p, 1, __ATOMIC_SEQ_CST) == 0; }

#pragma clang assume_nonnull end
#endif

#endif
