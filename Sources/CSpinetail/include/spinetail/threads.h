// Thread control. One process-wide pool, made at first use, dropped in a forked child and made again there.
#ifndef SPINETAIL_THREADS_H
#define SPINETAIL_THREADS_H

#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// How many threads a call may use, the caller included.
int32_t spinetail_get_num_threads(void);

/// Sets it; values outside 1...256 are clamped.
void spinetail_set_num_threads(int32_t count);

/// A function that long kernels call about every 10 ms from the calling thread; non-zero asks them to stop.
typedef int32_t (*spinetail_interrupt_check)(void);
void spinetail_set_interrupt_check(spinetail_interrupt_check _Nullable check);

/// Lanes of one float32 vector at the CPU level this library was compiled for.
int32_t spinetail_vector_width(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
