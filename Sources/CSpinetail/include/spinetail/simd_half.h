// bfloat16 and float16 in memory, float32 lanes in registers; simd.h includes this file.
#ifndef SPINETAIL_SIMD_HALF_H
#define SPINETAIL_SIMD_HALF_H

#if defined(__F16C__)
#include <immintrin.h>
#endif

#pragma clang assume_nonnull begin

typedef uint16_t spinetail_u16 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

/// The upper half of a float32 is a bfloat16.
SPINETAIL_INLINE spinetail_f32 spinetail_widen_bf16(spinetail_u16 a) {
    return (spinetail_f32)(__builtin_convertvector(a, spinetail_u32) << 16);
}

/// Round to nearest, ties to even; NaN stays NaN.
SPINETAIL_INLINE spinetail_u16 spinetail_narrow_bf16(spinetail_f32 a) {
    spinetail_u32 bits = (spinetail_u32)a;
    spinetail_u32 rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
    spinetail_u32 quiet = bits | 0x400000u;
    return __builtin_convertvector((a != a ? quiet : rounded) >> 16, spinetail_u16);
}

SPINETAIL_INLINE spinetail_f32 spinetail_widen_f16(spinetail_u16 a) {
#if SPINETAIL_VECTOR_BYTES == 64
    return (spinetail_f32)_mm512_cvtph_ps((__m256i)a);
#elif defined(__F16C__)
    return (spinetail_f32)_mm256_cvtph_ps((__m128i)a);
#elif defined(__aarch64__)
    typedef __fp16 halves __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
    return __builtin_convertvector((halves)a, spinetail_f32);
#else
    spinetail_u32 bits = __builtin_convertvector(a, spinetail_u32);
    spinetail_u32 magnitude = (bits & 0x7FFFu) << 13;
    // Exponents differ by 112, which a multiplication adds, also to subnormal numbers.
    spinetail_u32 finite = (spinetail_u32)((spinetail_f32)magnitude * 0x1p112f);
    spinetail_u32 value = magnitude >= 0x0F800000u ? (magnitude | 0x7F800000u) : finite;
    return (spinetail_f32)(value | (bits & 0x8000u) << 16);
#endif
}

/// Round to nearest, ties to even; beyond 65504 to infinity; NaN stays NaN.
SPINETAIL_INLINE spinetail_u16 spinetail_narrow_f16(spinetail_f32 a) {
#if SPINETAIL_VECTOR_BYTES == 64
    return (spinetail_u16)_mm512_cvtps_ph((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__F16C__)
    return (spinetail_u16)_mm256_cvtps_ph((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__aarch64__)
    typedef __fp16 halves __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
    return (spinetail_u16) __builtin_convertvector(a, halves);
#else
    spinetail_u32 magnitude = (spinetail_u32)a & 0x7FFFFFFFu;
    spinetail_u32 sign = ((spinetail_u32)a >> 16) & 0x8000u;
    spinetail_u32 normal = (magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
    // One unit in the last place of 0.5 is the smallest float16, so this sum rounds as float16 does.
    spinetail_u32 small = (spinetail_u32)((spinetail_f32)magnitude + 0.5f) - 0x3F000000u;
    spinetail_u32 value = magnitude < 0x38800000u ? small : magnitude < 0x47800000u ? normal : 0x7C00u;
    value = magnitude > 0x7F800000u ? 0x7E00u | (magnitude >> 13 & 0x3FFu) : value;
    return __builtin_convertvector(value | sign, spinetail_u16);
#endif
}

SPINETAIL_INLINE spinetail_u16 spinetail_load_u16(const uint16_t *p) {
    spinetail_u16 a;
    memcpy(&a, p, sizeof a);
    return a;
}

/// The first `count` (0 <= count < width) lanes from memory, zeros in the others.
SPINETAIL_INLINE spinetail_u16 spinetail_load_part_u16(const uint16_t *p, int64_t count) {
#if SPINETAIL_VECTOR_BYTES == 64
    return (spinetail_u16)_mm256_maskz_loadu_epi16((__mmask16)((1u << count) - 1u), p);
#else
    spinetail_u16 a = 0;
    memcpy(&a, p, (size_t)count * 2);
    return a;
#endif
}

/// Signed bytes from memory as float32; the first `count` (0 <= count < width) of them, zeros in the other lanes.
typedef int8_t spinetail_i8 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));

SPINETAIL_INLINE spinetail_f32 spinetail_load_i8(const int8_t *p) {
    spinetail_i8 a;
    memcpy(&a, p, sizeof a);
    return __builtin_convertvector(a, spinetail_f32);
}
SPINETAIL_INLINE spinetail_f32 spinetail_load_part_i8(const int8_t *p, int64_t count) {
#if SPINETAIL_VECTOR_BYTES == 64
    spinetail_i8 a = (spinetail_i8)_mm_maskz_loadu_epi8((__mmask16)((1u << count) - 1u), p);
#else
    spinetail_i8 a = 0;
    memcpy(&a, p, (size_t)count);
#endif
    return __builtin_convertvector(a, spinetail_f32);
}

SPINETAIL_INLINE void spinetail_store_u16(uint16_t *p, spinetail_u16 a) { memcpy(p, &a, sizeof a); }

SPINETAIL_INLINE void spinetail_store_part_u16(uint16_t *p, spinetail_u16 a, int64_t count) {
#if SPINETAIL_VECTOR_BYTES == 64
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << count) - 1u), (__m256i)a);
#else
    memcpy(p, &a, (size_t)count * 2);
#endif
}

/// Lanes of two neighbours each: as loaded, and what stands first and second in each lane.
SPINETAIL_INLINE spinetail_u32 spinetail_load_pairs(const void *p) {
    spinetail_u32 a;
    memcpy(&a, p, sizeof a);
    return a;
}
/// The first `count` (0 <= count < 2 · width) numbers, zeros after them.
SPINETAIL_INLINE spinetail_u32 spinetail_load_part_pairs(const uint16_t *p, int64_t count) {
#if SPINETAIL_VECTOR_BYTES == 64
    return (spinetail_u32)_mm512_maskz_loadu_epi16((__mmask32)((1ull << count) - 1ull), p);
#else
    spinetail_u32 a = 0;
    memcpy(&a, p, (size_t)count * 2);
    return a;
#endif
}
SPINETAIL_INLINE spinetail_f32 spinetail_first_bf16(spinetail_u32 pairs) { return (spinetail_f32)(pairs << 16); }
SPINETAIL_INLINE spinetail_f32 spinetail_second_bf16(spinetail_u32 pairs) {
    return (spinetail_f32)(pairs & 0xFFFF0000u);
}
SPINETAIL_INLINE spinetail_f32 spinetail_first_f16(spinetail_u32 pairs) {
    return spinetail_widen_f16(__builtin_convertvector(pairs, spinetail_u16));
}
SPINETAIL_INLINE spinetail_f32 spinetail_second_f16(spinetail_u32 pairs) {
    return spinetail_widen_f16(__builtin_convertvector(pairs >> 16, spinetail_u16));
}

/// The sums of four vectors' lanes, in out[0 ... 3].
SPINETAIL_INLINE void
spinetail_sum_four(spinetail_f32 a, spinetail_f32 b, spinetail_f32 c, spinetail_f32 d, float *out) {
#if SPINETAIL_VECTOR_BYTES == 64
    __m512 ab = _mm512_unpacklo_ps((__m512)a, (__m512)b) + _mm512_unpackhi_ps((__m512)a, (__m512)b);
    __m512 cd = _mm512_unpacklo_ps((__m512)c, (__m512)d) + _mm512_unpackhi_ps((__m512)c, (__m512)d);
    __m512 all = _mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xEE);
    __m256 half = _mm512_castps512_ps256(all) + _mm512_extractf32x8_ps(all, 1);
    _mm_storeu_ps(out, _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1));
#else
    for (int i = 1; i < SPINETAIL_VECTOR_BYTES / 4; i++) a[0] += a[i], b[0] += b[i], c[0] += c[i], d[0] += d[i];
    out[0] = a[0], out[1] = b[0], out[2] = c[0], out[3] = d[0];
#endif
}

#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
