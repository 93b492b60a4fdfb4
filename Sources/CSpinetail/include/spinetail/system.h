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

/// Tells the core that this is a spin loop.
static inline __attribute__((always_inline)) void spinetail_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline __attribute__((always_inline)) void spinetail_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

/// Monotonic nanoseconds.
static inline int64_t spinetail_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/// Blocks every asynchronous signal in this thread: signals belong to the program's own threads.
static inline void spinetail_block_signals(void) {
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGFPE);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static inline int spinetail_try_lock(int64_t *p) { return __atomic_exchange_n(p, 1, __ATOMIC_SEQ_CST) == 0; }

#pragma clang assume_nonnull end
#endif

#endif
