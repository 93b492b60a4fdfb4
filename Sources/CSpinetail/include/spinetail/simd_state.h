// What optimizers keep in one or two bytes, rounded up or down at random so that the mean is right; simd.h includes this
// file.
#ifndef SPINETAIL_SIMD_STATE_H
#define SPINETAIL_SIMD_STATE_H

#pragma clang assume_nonnull begin

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

SPINETAIL_INLINE spinetail_u32 spinetail_random_u16(const uint32_t *words, int64_t upper) {
    spinetail_u32 a;
    memcpy(&a, words, sizeof a);
    return upper ? a >> 16 : a & 0xFFFFu;
}

/// Numbers in [0, 1) from the upper or the lower half of each word.
SPINETAIL_INLINE spinetail_f32 spinetail_random_f32(const uint32_t *words, int64_t upper) {
    return __builtin_convertvector(spinetail_random_u16(words, upper), spinetail_f32) * 0x1p-16f;
}

/// One of the two neighbours in bfloat16; NaN stays NaN.
SPINETAIL_INLINE spinetail_u16 spinetail_dither_bf16(spinetail_f32 a, const uint32_t *words, int64_t upper) {
    spinetail_u32 bits = (spinetail_u32)a;
    spinetail_u32 rounded = bits + spinetail_random_u16(words, upper);
    return __builtin_convertvector((a != a ? bits | 0x400000u : rounded) >> 16, spinetail_u16);
}

/// The whole numbers of the first `count` (0 ... width) lanes, which are within -128 ... 127.
SPINETAIL_INLINE void spinetail_store_i8(int8_t *p, spinetail_f32 a, int64_t count) {
    spinetail_i8 b = __builtin_convertvector(a, spinetail_i8);
    memcpy(p, &b, (size_t)count);
}

/// The whole numbers just below.
SPINETAIL_INLINE spinetail_f32 spinetail_floor_f32(spinetail_f32 a) { return __builtin_elementwise_floor(a); }

#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
