// Conversions between float32 and float64 lanes; simd.h includes this file.
#ifndef SPINETAIL_SIMD_CONVERT_H
#define SPINETAIL_SIMD_CONVERT_H

#pragma clang assume_nonnull begin

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

/// The lower and the upper half of the lanes, widened.
SPINETAIL_INLINE spinetail_f64 spinetail_low_f32(spinetail_f32 a) {
    return __builtin_convertvector(a.lo, spinetail_f64);
}
SPINETAIL_INLINE spinetail_f64 spinetail_high_f32(spinetail_f32 a) {
    return __builtin_convertvector(a.hi, spinetail_f64);
}

/// As many elements as there are float64 lanes, widened on their way from memory.
SPINETAIL_INLINE spinetail_f64 spinetail_load_wide_f32(const float *p) {
    __typeof__(((spinetail_f32)0).lo) half;
    memcpy(&half, p, sizeof half);
    return __builtin_convertvector(half, spinetail_f64);
}

/// Both halves, rounded to float32.
SPINETAIL_INLINE spinetail_f32 spinetail_narrow_f32(spinetail_f64 low, spinetail_f64 high) {
    spinetail_f32 a;
    a.lo = __builtin_convertvector(low, __typeof__(a.lo));
    a.hi = __builtin_convertvector(high, __typeof__(a.lo));
    return a;
}

/// A number without its fraction; it must be within the integer's range.
SPINETAIL_INLINE int64_t spinetail_whole(double a) { return (int64_t)a; }

SPINETAIL_INLINE double spinetail_element_f64(spinetail_f64 a, int64_t index) { return a[index]; }
SPINETAIL_INLINE spinetail_f64 spinetail_with_element_f64(spinetail_f64 a, int64_t index, double value) {
    a[index] = value;
    return a;
}

#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
