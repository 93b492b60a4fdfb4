// Conversions between float32 and float64 lanes; simd.h includes this file.
#ifndef SPINETAIL_SIMD_CONVERT_H
#define SPINETAIL_SIMD_CONVERT_H

#pragma clang assume_nonnull begin

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

/// The lower and the upper half of the lanes, widened.
SPINETAIL_INLINE spinetail_f64 spinetail_low_f32(spinetail_f32 a) { return __builtin_convertvector(a.lo, spinetail_f64); }
SPINETAIL_INLINE spinetail_f64 spinetail_high_f32(spinetail_f32 a) { return __builtin_convertvector(a.hi, spinetail_f64); }

#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
