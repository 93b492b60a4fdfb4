// Array descriptors: how every array crosses the border. Kernels check dtype, rank and extents before they touch memory.
#ifndef SPINETAIL_ARRAY_H
#define SPINETAIL_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#ifndef __clang__
#define _Nonnull
#define _Nullable
#endif

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
    SPINETAIL_FLOAT32 = 0,
    SPINETAIL_FLOAT64 = 1,
    SPINETAIL_FLOAT16 = 2,
    SPINETAIL_BFLOAT16 = 3,
    SPINETAIL_INT8 = 4,
    SPINETAIL_UINT8 = 5,
    SPINETAIL_INT32 = 6,
    SPINETAIL_INT64 = 7,
    SPINETAIL_BOOL = 8,
};

/// A view of memory that the caller owns. `shape` and `strides` hold `rank` entries; strides are in bytes and may be
/// zero or negative. `data` is aligned for the dtype, and so is every stride.
typedef struct spinetail_array {
    void *_Nullable data;
    const ptrdiff_t *_Nullable shape;
    const ptrdiff_t *_Nullable strides;
    int32_t dtype;
    int32_t rank;
} spinetail_array;

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
