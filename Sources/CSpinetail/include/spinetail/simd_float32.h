// Vector primitives for float32 lanes; simd.h includes this file.
#ifndef SPINETAIL_SIMD_FLOAT32_H
#define SPINETAIL_SIMD_FLOAT32_H

#pragma clang assume_nonnull begin

typedef float spinetail_f32 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
typedef int32_t spinetail_i32 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
typedef uint32_t spinetail_u32 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

/// Whether `fma` rounds once.
SPINETAIL_INLINE int32_t spinetail_has_fma(void) {
#if defined(__FMA__) || defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

/// a·b + c, fused where the CPU level has it.
SPINETAIL_INLINE spinetail_f32 spinetail_fma_f32(spinetail_f32 a, spinetail_f32 b, spinetail_f32 c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_elementwise_fma(a, b, c);
#else
    return a * b + c;
#endif
}

SPINETAIL_INLINE spinetail_f32 spinetail_sqrt_f32(spinetail_f32 a) { return __builtin_elementwise_sqrt(a); }
SPINETAIL_INLINE spinetail_f32 spinetail_abs_f32(spinetail_f32 a) { return __builtin_elementwise_abs(a); }
SPINETAIL_INLINE spinetail_f32 spinetail_negate_f32(spinetail_f32 a) { return -a; }

/// Round half to even.
SPINETAIL_INLINE spinetail_f32 spinetail_round_f32(spinetail_f32 a) { return __builtin_elementwise_roundeven(a); }

/// a < b ? a : b, lane by lane: where either is NaN the result is b.
SPINETAIL_INLINE spinetail_f32 spinetail_min_f32(spinetail_f32 a, spinetail_f32 b) { return a < b ? a : b; }

/// a > b ? a : b, lane by lane: where either is NaN the result is b.
SPINETAIL_INLINE spinetail_f32 spinetail_max_f32(spinetail_f32 a, spinetail_f32 b) { return a > b ? a : b; }

/// The sign of `sign` on the magnitude of `a`.
SPINETAIL_INLINE spinetail_f32 spinetail_copysign_f32(spinetail_f32 a, spinetail_f32 sign) {
    return __builtin_elementwise_copysign(a, sign);
}

/// Where mask lanes are all ones take a, else b. The masks are what the comparisons below give.
SPINETAIL_INLINE spinetail_f32 spinetail_select_f32(spinetail_i32 mask, spinetail_f32 a, spinetail_f32 b) {
    return mask ? a : b;
}
SPINETAIL_INLINE spinetail_i32 spinetail_less_f32(spinetail_f32 a, spinetail_f32 b) { return a < b; }
SPINETAIL_INLINE spinetail_i32 spinetail_less_equal_f32(spinetail_f32 a, spinetail_f32 b) { return a <= b; }
SPINETAIL_INLINE spinetail_i32 spinetail_equal_f32(spinetail_f32 a, spinetail_f32 b) { return a == b; }

/// a > b, or a is NaN and b is not.
SPINETAIL_INLINE spinetail_i32 spinetail_beats_f32(spinetail_f32 a, spinetail_f32 b) { return ~(a <= b) & (b == b); }

/// The number of the first lane that is set in a mask, or the number of lanes.
SPINETAIL_INLINE int64_t spinetail_first_f32(spinetail_i32 mask) {
    const int64_t width = SPINETAIL_VECTOR_BYTES / 4;
#if SPINETAIL_VECTOR_BYTES == 64
    uint32_t bits = _mm512_movepi32_mask((__m512i)mask);
#elif SPINETAIL_VECTOR_BYTES == 32
    uint32_t bits = (uint32_t)__builtin_ia32_movmskps256((__attribute__((__vector_size__(32))) float)mask);
#else
    uint32_t bits = 0;
    for (int i = 0; i < width; i++) bits |= (uint32_t)(mask[i] & 1) << i;
#endif
    return __builtin_ctz(bits | 1u << width);
}

SPINETAIL_INLINE spinetail_i32 spinetail_bits_f32(spinetail_f32 a) { return (spinetail_i32)a; }
SPINETAIL_INLINE spinetail_f32 spinetail_from_bits_f32(spinetail_i32 a) { return (spinetail_f32)a; }

/// 2 to the whole number that round(a) would give, for results that are normal numbers.
SPINETAIL_INLINE spinetail_f32 spinetail_exp2_whole_f32(spinetail_f32 a) {
    const spinetail_f32 magic = 12582912.0f;
    return (spinetail_f32)((((spinetail_i32)(a + magic)) + 127 - 0x4B400000) << 23);
}

/// 2 to the whole number k, for results that are normal numbers, where `shifted` is k + 1.5 · 2^23 + 127.
SPINETAIL_INLINE spinetail_f32 spinetail_exp2_shifted_f32(spinetail_f32 shifted) {
    return (spinetail_f32)((spinetail_i32)shifted << 23);
}

/// a · 2^power for whole power, |power| < 252; results that are not normal numbers are rounded once or twice.
SPINETAIL_INLINE spinetail_f32 spinetail_scale_f32(spinetail_f32 a, spinetail_f32 power) {
#if defined(__AVX512F__)
    return (spinetail_f32)_mm512_scalef_ps((__m512)a, (__m512)power);
#else
    spinetail_f32 half = __builtin_elementwise_roundeven(power * 0.5f);
    return a * spinetail_exp2_whole_f32(half) * spinetail_exp2_whole_f32(power - half);
#endif
}

/// t less the next whole number below, and a times 2 to that whole number; both for results that are normal numbers.
/// Elsewhere than with AVX-512 that number is found by rounding; by 1/2 less, 0 would be a tie that goes to -1, and 2^0
/// twice a polynomial's end, 1 - 2^-24, where attention scales its sums by it again and again.
SPINETAIL_INLINE spinetail_f32 spinetail_fraction_f32(spinetail_f32 t) {
#if defined(__AVX512DQ__)
    return (spinetail_f32)_mm512_reduce_ps((__m512)t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
    return t - (t - 0.49999997f + 12583039.0f - 12583039.0f);
#endif
}
SPINETAIL_INLINE spinetail_f32 spinetail_scale_whole_f32(spinetail_f32 a, spinetail_f32 t) {
#if defined(__AVX512F__)
    return (spinetail_f32)_mm512_scalef_ps((__m512)a, (__m512)t);
#else
    return a * spinetail_exp2_shifted_f32(t - 0.49999997f + 12583039.0f);
#endif
}

/// m with a = m · 2^k and m in [2/3, 4/3), for positive normal a.
SPINETAIL_INLINE spinetail_f32 spinetail_mantissa_f32(spinetail_f32 a) {
    return (spinetail_f32)((((spinetail_i32)a - 0x3F2AAAAB) & 0x7FFFFF) + 0x3F2AAAAB);
}

/// That k as a number.
SPINETAIL_INLINE spinetail_f32 spinetail_exponent_f32(spinetail_f32 a) {
    const spinetail_f32 magic = 12582912.0f;
    spinetail_u32 shifted = ((spinetail_u32)a - 0x3F2AAAABu + (128u << 23)) >> 23;
    return (spinetail_f32)((spinetail_i32)shifted + (0x4B400000 - 128)) - magic;
}

/// Whether any lane is below the limit.
SPINETAIL_INLINE int32_t spinetail_any_below_f32(spinetail_f32 a, float limit) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)a, _mm512_set1_ps(limit), _CMP_LT_OQ) != 0;
#else
    return __builtin_reduce_or(a < limit) != 0;
#endif
}

/// Whether any lane is beyond the limit in magnitude, or NaN.
SPINETAIL_INLINE int32_t spinetail_any_beyond_f32(spinetail_f32 a, float limit) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(_mm512_abs_ps((__m512)a), _mm512_set1_ps(limit), _CMP_NLE_UQ) != 0;
#else
    spinetail_i32 within = __builtin_elementwise_abs(a) <= limit;
    return __builtin_reduce_and(within) == 0;
#endif
}

/// Whether the whole number k in `turns` = k + 1.5 · 2^23 is odd.
SPINETAIL_INLINE spinetail_i32 spinetail_odd_f32(spinetail_f32 turns) { return ((spinetail_i32)turns & 1) != 0; }

/// a, or -a where that k is 2 or 3 modulo 4.
SPINETAIL_INLINE spinetail_f32 spinetail_turn_f32(spinetail_f32 a, spinetail_f32 turns) {
    return (spinetail_f32)((spinetail_u32)a ^ (((spinetail_u32)turns & 2) << 30));
}

/// The logarithm y of x where x is positive and finite, elsewhere its limit: -∞ at 0, NaN below and for NaN, ∞ at ∞.
SPINETAIL_INLINE spinetail_f32 spinetail_log_limits_f32(spinetail_f32 x, spinetail_f32 y) {
#if defined(__AVX512F__)
    // What to do with each class of x, 4 bits each, from the lowest: quiet NaN, signalling NaN, 0, 1, -∞, ∞, negative,
    // positive. 0 keeps y, 2 is x made quiet, 3 is NaN, 4 is -∞, 5 is ∞.
    return (spinetail_f32)_mm512_fixupimm_ps((__m512)y, (__m512)x, _mm512_set1_epi32(0x03530422), 0);
#else
    const spinetail_f32 infinity = __builtin_inff(), nan = __builtin_nanf("");
    spinetail_f32 edge = x < 0 ? nan : x == 0 ? -infinity : x;
    return ((x > 0) & (x < infinity)) ? y : edge;
#endif
}

/// 0, 1, 2, …
SPINETAIL_INLINE spinetail_f32 spinetail_ramp_f32(void) {
#if SPINETAIL_VECTOR_BYTES == 64
    return (spinetail_f32){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif SPINETAIL_VECTOR_BYTES == 32
    return (spinetail_f32){0, 1, 2, 3, 4, 5, 6, 7};
#else
    return (spinetail_f32){0, 1, 2, 3};
#endif
}

/// The value nearest to zero that a conversion to integer lanes gives; a must be within the integer's range.
SPINETAIL_INLINE spinetail_i32 spinetail_to_integer_f32(spinetail_f32 a) {
    return __builtin_convertvector(a, spinetail_i32);
}
SPINETAIL_INLINE spinetail_f32 spinetail_from_integer_f32(spinetail_i32 a) {
    return __builtin_convertvector(a, spinetail_f32);
}

SPINETAIL_INLINE spinetail_f32 spinetail_load_f32(const float *p) {
    spinetail_f32 a;
    memcpy(&a, p, sizeof a);
    return a;
}

SPINETAIL_INLINE void spinetail_store_f32(float *p, spinetail_f32 a) { memcpy(p, &a, sizeof a); }

/// The first `count` lanes from memory (0 <= count < width), the others `fill`.
SPINETAIL_INLINE spinetail_f32 spinetail_load_part_f32(const float *p, int64_t count, float fill) {
#if defined(__AVX512F__)
    return (spinetail_f32)_mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << count) - 1u), p);
#else
    spinetail_f32 a = fill;
    memcpy(&a, p, (size_t)count * sizeof(float));
    return a;
#endif
}

SPINETAIL_INLINE void spinetail_store_part_f32(float *p, spinetail_f32 a, int64_t count) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1u), (__m512)a);
#else
    memcpy(p, &a, (size_t)count * sizeof(float));
#endif
}

/// Lanes p[places[lane]] for places below two vectors, all of which can be read.
SPINETAIL_INLINE spinetail_f32 spinetail_pick_f32(const float *p, const int32_t *places) {
#if defined(__AVX512F__)
    __m512i at = _mm512_loadu_si512(places);
    return (spinetail_f32)_mm512_permutex2var_ps(_mm512_loadu_ps(p), at, _mm512_loadu_ps(p + 16));
#elif defined(__AVX2__)
    __m256i at = _mm256_loadu_si256((const __m256i_u *)places);
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), at);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + 8), at);
    return (spinetail_f32)_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
#else
    spinetail_f32 result;
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 4; i++) result[i] = p[places[i]];
    return result;
#endif
}

/// Lanes places[lane] of two vectors, those of `b` counted from the width on.
SPINETAIL_INLINE spinetail_i32 spinetail_places_f32(const int32_t *places) {
    spinetail_i32 at;
    memcpy(&at, places, sizeof at);
    return at;
}
SPINETAIL_INLINE spinetail_f32 spinetail_permute_f32(spinetail_f32 a, spinetail_f32 b, spinetail_i32 at) {
#if defined(__AVX512F__)
    return (spinetail_f32)_mm512_permutex2var_ps((__m512)a, (__m512i)at, (__m512)b);
#elif defined(__AVX2__)
    __m256 low = _mm256_permutevar8x32_ps((__m256)a, (__m256i)at);
    __m256 high = _mm256_permutevar8x32_ps((__m256)b, (__m256i)at);
    return (spinetail_f32)_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32((__m256i)at, 28)));
#else
    const int32_t width = SPINETAIL_VECTOR_BYTES / 4;
    spinetail_f32 result;
    for (int i = 0; i < width; i++) result[i] = at[i] < width ? a[at[i] & (width - 1)] : b[at[i] & (width - 1)];
    return result;
#endif
}

/// Lanes places[lane] of one vector, zero where the place is negative.
SPINETAIL_INLINE spinetail_f32 spinetail_arrange_f32(spinetail_f32 a, spinetail_i32 at) {
#if defined(__AVX512F__)
    __mmask16 held = _mm512_cmpge_epi32_mask((__m512i)at, _mm512_setzero_si512());
    return (spinetail_f32)_mm512_maskz_permutexvar_ps(held, (__m512i)at, (__m512)a);
#else
    const int width = SPINETAIL_VECTOR_BYTES / 4;
    spinetail_f32 result;
    for (int i = 0; i < width; i++) result[i] = at[i] < 0 ? 0 : a[at[i] & (width - 1)];
    return result;
#endif
}

/// Lanes p[places[lane]], zero where the place is negative.
SPINETAIL_INLINE spinetail_f32 spinetail_gather_f32(const float *p, const int32_t *places) {
#if defined(__AVX512F__)
    __m512i at = _mm512_loadu_si512(places);
    __mmask16 held = _mm512_cmpge_epi32_mask(at, _mm512_setzero_si512());
    return (spinetail_f32)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), held, at, p, 4);
#elif defined(__AVX2__)
    __m256i at = _mm256_loadu_si256((const __m256i_u *)places);
    __m256 held = _mm256_castsi256_ps(_mm256_andnot_si256(at, _mm256_set1_epi32(-1)));
    return (spinetail_f32)_mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, at, held, 4);
#else
    spinetail_f32 result;
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 4; i++) result[i] = places[i] < 0 ? 0 : p[places[i]];
    return result;
#endif
}

/// Every second element from p on; the last one read is the last one taken.
SPINETAIL_INLINE spinetail_f32 spinetail_load_second_f32(const float *p) {
    spinetail_f32 a = spinetail_load_f32(p), b = spinetail_load_f32(p + SPINETAIL_VECTOR_BYTES / 4 - 1);
#if SPINETAIL_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
#elif SPINETAIL_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 9, 11, 13, 15);
#else
    return __builtin_shufflevector(a, b, 0, 2, 5, 7);
#endif
}

/// The first `count` (0 < count <= width) of them, zeros in the other lanes.
SPINETAIL_INLINE spinetail_f32 spinetail_load_second_part_f32(const float *p, int64_t count) {
#if defined(__AVX512F__)
    uint32_t mask = (1u << (2 * count - 1)) - 1u;
    spinetail_f32 a = (spinetail_f32)_mm512_maskz_loadu_ps((__mmask16)mask, p);
    spinetail_f32 b = (spinetail_f32)_mm512_maskz_loadu_ps((__mmask16)(mask >> 16), p + 16);
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#else
    spinetail_f32 a = 0;
    for (int64_t i = 0; i < count; i++) a[i] = p[2 * i];
    return a;
#endif
}

/// Lanes whose bit is set from p[lane], the others as they are; memory of the others is not touched.
SPINETAIL_INLINE spinetail_f32 spinetail_load_bits_f32(spinetail_f32 a, const float *p, uint32_t bits) {
#if defined(__AVX512F__)
    return (spinetail_f32)_mm512_mask_loadu_ps((__m512)a, (__mmask16)bits, p);
#else
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 4; i++)
        if (bits >> i & 1) a[i] = p[i];
    return a;
#endif
}

/// The same from p[2 · lane].
SPINETAIL_INLINE spinetail_f32 spinetail_load_second_bits_f32(spinetail_f32 a, const float *p, uint32_t bits) {
#if defined(__AVX512F__) && defined(__BMI2__)
    uint32_t mask = _pdep_u32(bits, 0x55555555);
    spinetail_f32 low = (spinetail_f32)_mm512_maskz_loadu_ps((__mmask16)mask, p);
    spinetail_f32 high = (spinetail_f32)_mm512_maskz_loadu_ps((__mmask16)(mask >> 16), p + 16);
    spinetail_f32 b = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return (spinetail_f32)_mm512_mask_mov_ps((__m512)a, (__mmask16)bits, (__m512)b);
#else
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 4; i++)
        if (bits >> i & 1) a[i] = p[2 * i];
    return a;
#endif
}

typedef int32_t spinetail_indices_f32 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));

#if SPINETAIL_VECTOR_BYTES == 64
#define SPINETAIL_RAMP 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#elif SPINETAIL_VECTOR_BYTES == 32
#define SPINETAIL_RAMP 0, 1, 2, 3, 4, 5, 6, 7
#else
#define SPINETAIL_RAMP 0, 1, 2, 3
#endif

/// p[i] = a[i], which is a whole number, + base + i · step, for the first `count` lanes.
SPINETAIL_INLINE void
spinetail_store_indices_f32(int32_t *p, spinetail_f32 a, int32_t base, int32_t step, int64_t count) {
    const spinetail_indices_f32 ramp = {SPINETAIL_RAMP};
    spinetail_indices_f32 whole = __builtin_convertvector(a, spinetail_indices_f32) + ramp * step + base;
#if defined(__AVX512VL__)
    _mm512_mask_storeu_epi32(p, (__mmask16)((1u << count) - 1u), (__m512i)whole);
#else
    memcpy(p, &whole, (size_t)count * sizeof(int32_t));
#endif
}

/// The opposite: p[i] - base - i · step for the first `count` lanes; the others are anything.
SPINETAIL_INLINE spinetail_f32 spinetail_load_indices_f32(const int32_t *p, int32_t base, int32_t step, int64_t count) {
    const spinetail_indices_f32 ramp = {SPINETAIL_RAMP};
#if defined(__AVX512VL__)
    spinetail_indices_f32 whole = (spinetail_indices_f32)_mm512_maskz_loadu_epi32((__mmask16)((1u << count) - 1u), p);
#else
    spinetail_indices_f32 whole = 0;
    memcpy(&whole, p, (size_t)count * sizeof(int32_t));
#endif
    return __builtin_convertvector(whole - ramp * step - base, spinetail_f32);
}
#undef SPINETAIL_RAMP

SPINETAIL_INLINE float spinetail_sum_f32(spinetail_f32 a) {
#if SPINETAIL_VECTOR_BYTES == 64
    __attribute__((ext_vector_type(8))) float b = a.lo + a.hi;
    __attribute__((ext_vector_type(4))) float c = b.lo + b.hi;
#elif SPINETAIL_VECTOR_BYTES == 32
    __attribute__((ext_vector_type(4))) float c = a.lo + a.hi;
#else
    __attribute__((ext_vector_type(4))) float c = a;
#endif
    __attribute__((ext_vector_type(2))) float d = c.lo + c.hi;
    return d.x + d.y;
}

/// The largest lane; NaN where any lane is NaN is the caller's business.
SPINETAIL_INLINE float spinetail_largest_f32(spinetail_f32 a) { return __builtin_reduce_max(a); }
SPINETAIL_INLINE float spinetail_smallest_f32(spinetail_f32 a) { return __builtin_reduce_min(a); }

#if SPINETAIL_VECTOR_BYTES == 64
#define SPINETAIL_ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SPINETAIL_ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif SPINETAIL_VECTOR_BYTES == 32
#define SPINETAIL_ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define SPINETAIL_ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define SPINETAIL_ZIP_LOW 0, 4, 1, 5
#define SPINETAIL_ZIP_HIGH 2, 6, 3, 7
#endif

/// a₀ b₀ a₁ b₁ … of the lower halves of the lanes, and of the upper ones.
SPINETAIL_INLINE spinetail_f32 spinetail_zip_low_f32(spinetail_f32 a, spinetail_f32 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_ZIP_LOW);
}
SPINETAIL_INLINE spinetail_f32 spinetail_zip_high_f32(spinetail_f32 a, spinetail_f32 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_ZIP_HIGH);
}

/// Lanes 0, 2, … of a and then of b, and lanes 1, 3, ….
#if SPINETAIL_VECTOR_BYTES == 64
#define SPINETAIL_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define SPINETAIL_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif SPINETAIL_VECTOR_BYTES == 32
#define SPINETAIL_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define SPINETAIL_ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define SPINETAIL_EVEN 0, 2, 4, 6
#define SPINETAIL_ODD 1, 3, 5, 7
#endif
SPINETAIL_INLINE spinetail_f32 spinetail_unzip_even_f32(spinetail_f32 a, spinetail_f32 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_EVEN);
}
SPINETAIL_INLINE spinetail_f32 spinetail_unzip_odd_f32(spinetail_f32 a, spinetail_f32 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_ODD);
}
#undef SPINETAIL_EVEN
#undef SPINETAIL_ODD

/// The sums of four vectors, to four places.
SPINETAIL_INLINE void
spinetail_store_sums_f32(float *p, spinetail_f32 a, spinetail_f32 b, spinetail_f32 c, spinetail_f32 d) {
    spinetail_f32 ac = spinetail_zip_low_f32(a, c) + spinetail_zip_high_f32(a, c);
    spinetail_f32 bd = spinetail_zip_low_f32(b, d) + spinetail_zip_high_f32(b, d);
    spinetail_f32 s = spinetail_zip_low_f32(ac, bd) + spinetail_zip_high_f32(ac, bd);
#if SPINETAIL_VECTOR_BYTES == 64
    __attribute__((ext_vector_type(8))) float half = s.lo + s.hi;
    __attribute__((ext_vector_type(4))) float sums = half.lo + half.hi;
#elif SPINETAIL_VECTOR_BYTES == 32
    __attribute__((ext_vector_type(4))) float sums = s.lo + s.hi;
#else
    spinetail_f32 sums = s;
#endif
    memcpy(p, &sums, sizeof sums);
}

/// Transposes a block of width × width: out[k · out_stride + i] = in[i · in_stride + k], zeros where i >= valid. Perfect
/// shuffles, log2(width) times.
SPINETAIL_INLINE void
spinetail_transpose_f32(const float *in, ptrdiff_t in_stride, int64_t valid, float *out, ptrdiff_t out_stride) {
    enum { width = SPINETAIL_VECTOR_BYTES / 4 };
    spinetail_f32 a[width], b[width];
#pragma unroll
    for (int i = 0; i < width; i++) a[i] = i < valid ? spinetail_load_f32(in + i * in_stride) : (spinetail_f32)0;
#pragma unroll
    for (int stage = 1; stage < width; stage *= 2) {
#pragma unroll
        for (int i = 0; i < width / 2; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + width / 2], SPINETAIL_ZIP_LOW);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + width / 2], SPINETAIL_ZIP_HIGH);
        }
#pragma unroll
        for (int i = 0; i < width; i++) a[i] = b[i];
    }
#pragma unroll
    for (int i = 0; i < width; i++) spinetail_store_f32(out + i * out_stride, a[i]);
}

#undef SPINETAIL_ZIP_LOW
#undef SPINETAIL_ZIP_HIGH
#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
