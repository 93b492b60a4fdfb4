// Vector primitives for float64 lanes; simd.h includes this file.
#ifndef SPINETAIL_SIMD_FLOAT64_H
#define SPINETAIL_SIMD_FLOAT64_H

#pragma clang assume_nonnull begin

typedef double spinetail_f64 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));
typedef int64_t spinetail_i64 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));
typedef uint64_t spinetail_u64 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

/// a·b + c, fused where the CPU level has it.
SPINETAIL_INLINE spinetail_f64 spinetail_fma_f64(spinetail_f64 a, spinetail_f64 b, spinetail_f64 c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_elementwise_fma(a, b, c);
#else
    return a * b + c;
#endif
}

/// a·b - product where product is a·b rounded; for magnitudes between 2^-450 and 2^450.
SPINETAIL_INLINE spinetail_f64 spinetail_product_error_f64(spinetail_f64 a, spinetail_f64 b, spinetail_f64 product) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_elementwise_fma(a, b, -product);
#else
    // Dekker: both factors in halves of 26 bits, whose products are exact
    spinetail_f64 c = a * 134217729.0, d = b * 134217729.0;
    spinetail_f64 a1 = c - (c - a), b1 = d - (d - b);
    spinetail_f64 a2 = a - a1, b2 = b - b1;
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
}

SPINETAIL_INLINE spinetail_f64 spinetail_sqrt_f64(spinetail_f64 a) { return __builtin_elementwise_sqrt(a); }
SPINETAIL_INLINE spinetail_f64 spinetail_abs_f64(spinetail_f64 a) { return __builtin_elementwise_abs(a); }
SPINETAIL_INLINE spinetail_f64 spinetail_negate_f64(spinetail_f64 a) { return -a; }

/// Round half to even.
SPINETAIL_INLINE spinetail_f64 spinetail_round_f64(spinetail_f64 a) { return __builtin_elementwise_roundeven(a); }

/// a < b ? a : b, lane by lane: where either is NaN the result is b.
SPINETAIL_INLINE spinetail_f64 spinetail_min_f64(spinetail_f64 a, spinetail_f64 b) { return a < b ? a : b; }

/// a > b ? a : b, lane by lane: where either is NaN the result is b.
SPINETAIL_INLINE spinetail_f64 spinetail_max_f64(spinetail_f64 a, spinetail_f64 b) { return a > b ? a : b; }

/// The sign of `sign` on the magnitude of `a`.
SPINETAIL_INLINE spinetail_f64 spinetail_copysign_f64(spinetail_f64 a, spinetail_f64 sign) {
    return __builtin_elementwise_copysign(a, sign);
}

/// Where mask lanes are all ones take a, else b. The masks are what the comparisons below give.
SPINETAIL_INLINE spinetail_f64 spinetail_select_f64(spinetail_i64 mask, spinetail_f64 a, spinetail_f64 b) {
    return mask ? a : b;
}
SPINETAIL_INLINE spinetail_i64 spinetail_less_f64(spinetail_f64 a, spinetail_f64 b) { return a < b; }
SPINETAIL_INLINE spinetail_i64 spinetail_less_equal_f64(spinetail_f64 a, spinetail_f64 b) { return a <= b; }
SPINETAIL_INLINE spinetail_i64 spinetail_equal_f64(spinetail_f64 a, spinetail_f64 b) { return a == b; }

/// a > b, or a is NaN and b is not.
SPINETAIL_INLINE spinetail_i64 spinetail_beats_f64(spinetail_f64 a, spinetail_f64 b) { return ~(a <= b) & (b == b); }

/// The number of the first lane that is set in a mask, or the number of lanes.
SPINETAIL_INLINE int64_t spinetail_first_f64(spinetail_i64 mask) {
    const int64_t width = SPINETAIL_VECTOR_BYTES / 8;
#if SPINETAIL_VECTOR_BYTES == 64
    uint32_t bits = _mm512_movepi64_mask((__m512i)mask);
#elif SPINETAIL_VECTOR_BYTES == 32
    uint32_t bits = (uint32_t)__builtin_ia32_movmskpd256((__attribute__((__vector_size__(32))) double)mask);
#else
    uint32_t bits = 0;
    for (int i = 0; i < width; i++) bits |= (uint32_t)(mask[i] & 1) << i;
#endif
    return __builtin_ctz(bits | 1u << width);
}

SPINETAIL_INLINE spinetail_i64 spinetail_bits_f64(spinetail_f64 a) { return (spinetail_i64)a; }
SPINETAIL_INLINE spinetail_f64 spinetail_from_bits_f64(spinetail_i64 a) { return (spinetail_f64)a; }

/// 2 to the whole number that round(a) would give, for results that are normal numbers.
SPINETAIL_INLINE spinetail_f64 spinetail_exp2_whole_f64(spinetail_f64 a) {
    const spinetail_f64 magic = 6755399441055744.0;
    return (spinetail_f64)((((spinetail_i64)(a + magic)) + 1023 - 0x4338000000000000) << 52);
}

/// 2 to the whole number k, for results that are normal numbers, where `shifted` is k + 1.5 · 2^52 + 1023.
SPINETAIL_INLINE spinetail_f64 spinetail_exp2_shifted_f64(spinetail_f64 shifted) {
    return (spinetail_f64)((spinetail_i64)shifted << 52);
}

/// a · 2^power for whole power, |power| < 2044; results that are not normal numbers are rounded once or twice.
SPINETAIL_INLINE spinetail_f64 spinetail_scale_f64(spinetail_f64 a, spinetail_f64 power) {
#if defined(__AVX512F__)
    return (spinetail_f64)_mm512_scalef_pd((__m512d)a, (__m512d)power);
#else
    spinetail_f64 half = __builtin_elementwise_roundeven(power * 0.5);
    return a * spinetail_exp2_whole_f64(half) * spinetail_exp2_whole_f64(power - half);
#endif
}

/// m with a = m · 2^k and m in [2/3, 4/3), for positive normal a.
SPINETAIL_INLINE spinetail_f64 spinetail_mantissa_f64(spinetail_f64 a) {
    return (spinetail_f64)((((spinetail_i64)a - 0x3FE5555555555555) & 0xFFFFFFFFFFFFF) + 0x3FE5555555555555);
}

/// That k as a number.
SPINETAIL_INLINE spinetail_f64 spinetail_exponent_f64(spinetail_f64 a) {
    const spinetail_f64 magic = 6755399441055744.0;
    spinetail_u64 shifted = ((spinetail_u64)a - 0x3FE5555555555555u + (1024ull << 52)) >> 52;
    return (spinetail_f64)((spinetail_i64)shifted + (0x4338000000000000 - 1024)) - magic;
}

/// Whether any lane is below the limit.
SPINETAIL_INLINE int32_t spinetail_any_below_f64(spinetail_f64 a, double limit) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask((__m512d)a, _mm512_set1_pd(limit), _CMP_LT_OQ) != 0;
#else
    return __builtin_reduce_or(a < limit) != 0;
#endif
}

/// Whether any lane is beyond the limit in magnitude, or NaN.
SPINETAIL_INLINE int32_t spinetail_any_beyond_f64(spinetail_f64 a, double limit) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask(_mm512_abs_pd((__m512d)a), _mm512_set1_pd(limit), _CMP_NLE_UQ) != 0;
#else
    spinetail_i64 within = __builtin_elementwise_abs(a) <= limit;
    return __builtin_reduce_and(within) == 0;
#endif
}

/// Whether the whole number k in `turns` = k + 1.5 · 2^52 is odd.
SPINETAIL_INLINE spinetail_i64 spinetail_odd_f64(spinetail_f64 turns) { return ((spinetail_i64)turns & 1) != 0; }

/// a, or -a where that k is 2 or 3 modulo 4.
SPINETAIL_INLINE spinetail_f64 spinetail_turn_f64(spinetail_f64 a, spinetail_f64 turns) {
    return (spinetail_f64)((spinetail_u64)a ^ (((spinetail_u64)turns & 2) << 62));
}

/// The logarithm y of x where x is positive and finite, elsewhere its limit: -∞ at 0, NaN below and for NaN, ∞ at ∞.
SPINETAIL_INLINE spinetail_f64 spinetail_log_limits_f64(spinetail_f64 x, spinetail_f64 y) {
#if defined(__AVX512F__)
    // What to do with each class of x, 4 bits each, from the lowest: quiet NaN, signalling NaN, 0, 1, -∞, ∞, negative,
    // positive. 0 keeps y, 2 is x made quiet, 3 is NaN, 4 is -∞, 5 is ∞.
    return (spinetail_f64)_mm512_fixupimm_pd((__m512d)y, (__m512d)x, _mm512_set1_epi64(0x03530422), 0);
#else
    const spinetail_f64 infinity = __builtin_inf(), nan = __builtin_nan("");
    spinetail_f64 edge = x < 0 ? nan : x == 0 ? -infinity : x;
    return ((x > 0) & (x < infinity)) ? y : edge;
#endif
}

/// 0, 1, 2, …
SPINETAIL_INLINE spinetail_f64 spinetail_ramp_f64(void) {
#if SPINETAIL_VECTOR_BYTES == 64
    return (spinetail_f64){0, 1, 2, 3, 4, 5, 6, 7};
#elif SPINETAIL_VECTOR_BYTES == 32
    return (spinetail_f64){0, 1, 2, 3};
#else
    return (spinetail_f64){0, 1};
#endif
}

/// The value nearest to zero that a conversion to integer lanes gives; a must be within the integer's range.
SPINETAIL_INLINE spinetail_i64 spinetail_to_integer_f64(spinetail_f64 a) {
    return __builtin_convertvector(a, spinetail_i64);
}
SPINETAIL_INLINE spinetail_f64 spinetail_from_integer_f64(spinetail_i64 a) {
    return __builtin_convertvector(a, spinetail_f64);
}

SPINETAIL_INLINE spinetail_f64 spinetail_load_f64(const double *p) {
    spinetail_f64 a;
    memcpy(&a, p, sizeof a);
    return a;
}

SPINETAIL_INLINE void spinetail_store_f64(double *p, spinetail_f64 a) { memcpy(p, &a, sizeof a); }

/// The first `count` lanes from memory (0 <= count < width), the others `fill`.
SPINETAIL_INLINE spinetail_f64 spinetail_load_part_f64(const double *p, int64_t count, double fill) {
#if defined(__AVX512F__)
    return (spinetail_f64)_mm512_mask_loadu_pd(_mm512_set1_pd(fill), (__mmask8)((1u << count) - 1u), p);
#else
    spinetail_f64 a = fill;
    memcpy(&a, p, (size_t)count * sizeof(double));
    return a;
#endif
}

SPINETAIL_INLINE void spinetail_store_part_f64(double *p, spinetail_f64 a, int64_t count) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1u), (__m512d)a);
#else
    memcpy(p, &a, (size_t)count * sizeof(double));
#endif
}

/// Lanes p[places[lane]] for places below two vectors, all of which can be read.
SPINETAIL_INLINE spinetail_f64 spinetail_pick_f64(const double *p, const int32_t *places) {
#if defined(__AVX512F__)
    __m512i at = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i_u *)places));
    return (spinetail_f64)_mm512_permutex2var_pd(_mm512_loadu_pd(p), at, _mm512_loadu_pd(p + 8));
#elif defined(__AVX2__)
    return (spinetail_f64)_mm256_i32gather_pd(p, _mm_loadu_si128((const __m128i_u *)places), 8);
#else
    spinetail_f64 result;
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 8; i++) result[i] = p[places[i]];
    return result;
#endif
}

/// Lanes places[lane] of two vectors, those of `b` counted from the width on.
SPINETAIL_INLINE spinetail_i64 spinetail_places_f64(const int32_t *places) {
    typedef int32_t indices __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));
    indices at;
    memcpy(&at, places, sizeof at);
    return __builtin_convertvector(at, spinetail_i64);
}
SPINETAIL_INLINE spinetail_f64 spinetail_permute_f64(spinetail_f64 a, spinetail_f64 b, spinetail_i64 at) {
#if defined(__AVX512F__)
    return (spinetail_f64)_mm512_permutex2var_pd((__m512d)a, (__m512i)at, (__m512d)b);
#else
    const int64_t width = SPINETAIL_VECTOR_BYTES / 8;
    spinetail_f64 result;
    for (int i = 0; i < width; i++) result[i] = at[i] < width ? a[at[i] & (width - 1)] : b[at[i] & (width - 1)];
    return result;
#endif
}

/// Lanes places[lane] of one vector, zero where the place is negative.
SPINETAIL_INLINE spinetail_f64 spinetail_arrange_f64(spinetail_f64 a, spinetail_i64 at) {
#if defined(__AVX512F__)
    __mmask8 held = _mm512_cmpge_epi64_mask((__m512i)at, _mm512_setzero_si512());
    return (spinetail_f64)_mm512_maskz_permutexvar_pd(held, (__m512i)at, (__m512d)a);
#else
    const int width = SPINETAIL_VECTOR_BYTES / 8;
    spinetail_f64 result;
    for (int i = 0; i < width; i++) result[i] = at[i] < 0 ? 0 : a[at[i] & (width - 1)];
    return result;
#endif
}

/// Lanes p[places[lane]], zero where the place is negative.
SPINETAIL_INLINE spinetail_f64 spinetail_gather_f64(const double *p, const int32_t *places) {
#if defined(__AVX512F__)
    __m256i at = _mm256_loadu_si256((const __m256i_u *)places);
    __mmask8 held = _mm512_cmpge_epi64_mask(_mm512_cvtepi32_epi64(at), _mm512_setzero_si512());
    return (spinetail_f64)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), held, at, p, 8);
#elif defined(__AVX2__)
    __m128i at = _mm_loadu_si128((const __m128i_u *)places);
    __m256i held = _mm256_cvtepi32_epi64(_mm_andnot_si128(at, _mm_set1_epi32(-1)));
    return (spinetail_f64)_mm256_mask_i32gather_pd(_mm256_setzero_pd(), p, at, _mm256_castsi256_pd(held), 8);
#else
    spinetail_f64 result;
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 8; i++) result[i] = places[i] < 0 ? 0 : p[places[i]];
    return result;
#endif
}

/// Every second element from p on; the last one read is the last one taken.
SPINETAIL_INLINE spinetail_f64 spinetail_load_second_f64(const double *p) {
    spinetail_f64 a = spinetail_load_f64(p), b = spinetail_load_f64(p + SPINETAIL_VECTOR_BYTES / 8 - 1);
#if SPINETAIL_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 9, 11, 13, 15);
#elif SPINETAIL_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 0, 2, 5, 7);
#else
    return __builtin_shufflevector(a, b, 0, 3);
#endif
}

/// The first `count` (0 < count <= width) of them, zeros in the other lanes.
SPINETAIL_INLINE spinetail_f64 spinetail_load_second_part_f64(const double *p, int64_t count) {
#if defined(__AVX512F__)
    uint32_t mask = (1u << (2 * count - 1)) - 1u;
    spinetail_f64 a = (spinetail_f64)_mm512_maskz_loadu_pd((__mmask8)mask, p);
    spinetail_f64 b = (spinetail_f64)_mm512_maskz_loadu_pd((__mmask8)(mask >> 8), p + 8);
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
    spinetail_f64 a = 0;
    for (int64_t i = 0; i < count; i++) a[i] = p[2 * i];
    return a;
#endif
}

/// Lanes whose bit is set from p[lane], the others as they are; memory of the others is not touched.
SPINETAIL_INLINE spinetail_f64 spinetail_load_bits_f64(spinetail_f64 a, const double *p, uint32_t bits) {
#if defined(__AVX512F__)
    return (spinetail_f64)_mm512_mask_loadu_pd((__m512d)a, (__mmask8)bits, p);
#else
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 8; i++)
        if (bits >> i & 1) a[i] = p[i];
    return a;
#endif
}

/// The same from p[2 · lane].
SPINETAIL_INLINE spinetail_f64 spinetail_load_second_bits_f64(spinetail_f64 a, const double *p, uint32_t bits) {
#if defined(__AVX512F__) && defined(__BMI2__)
    uint32_t mask = _pdep_u32(bits, 0x5555);
    spinetail_f64 low = (spinetail_f64)_mm512_maskz_loadu_pd((__mmask8)mask, p);
    spinetail_f64 high = (spinetail_f64)_mm512_maskz_loadu_pd((__mmask8)(mask >> 8), p + 8);
    spinetail_f64 b = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
    return (spinetail_f64)_mm512_mask_mov_pd((__m512d)a, (__mmask8)bits, (__m512d)b);
#else
    for (int i = 0; i < SPINETAIL_VECTOR_BYTES / 8; i++)
        if (bits >> i & 1) a[i] = p[2 * i];
    return a;
#endif
}

typedef int32_t spinetail_indices_f64 __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));

#if SPINETAIL_VECTOR_BYTES == 64
#define SPINETAIL_RAMP 0, 1, 2, 3, 4, 5, 6, 7
#elif SPINETAIL_VECTOR_BYTES == 32
#define SPINETAIL_RAMP 0, 1, 2, 3
#else
#define SPINETAIL_RAMP 0, 1
#endif

/// p[i] = a[i], which is a whole number, + base + i · step, for the first `count` lanes.
SPINETAIL_INLINE void
spinetail_store_indices_f64(int32_t *p, spinetail_f64 a, int32_t base, int32_t step, int64_t count) {
    const spinetail_indices_f64 ramp = {SPINETAIL_RAMP};
    spinetail_indices_f64 whole = __builtin_convertvector(a, spinetail_indices_f64) + ramp * step + base;
#if defined(__AVX512VL__)
    _mm256_mask_storeu_epi32(p, (__mmask8)((1u << count) - 1u), (__m256i)whole);
#else
    memcpy(p, &whole, (size_t)count * sizeof(int32_t));
#endif
}

/// The opposite: p[i] - base - i · step for the first `count` lanes; the others are anything.
SPINETAIL_INLINE spinetail_f64 spinetail_load_indices_f64(const int32_t *p, int32_t base, int32_t step, int64_t count) {
    const spinetail_indices_f64 ramp = {SPINETAIL_RAMP};
#if defined(__AVX512VL__)
    spinetail_indices_f64 whole = (spinetail_indices_f64)_mm256_maskz_loadu_epi32((__mmask8)((1u << count) - 1u), p);
#else
    spinetail_indices_f64 whole = 0;
    memcpy(&whole, p, (size_t)count * sizeof(int32_t));
#endif
    return __builtin_convertvector(whole - ramp * step - base, spinetail_f64);
}
#undef SPINETAIL_RAMP

SPINETAIL_INLINE double spinetail_sum_f64(spinetail_f64 a) {
#if SPINETAIL_VECTOR_BYTES == 64
    __attribute__((ext_vector_type(4))) double c = a.lo + a.hi;
    __attribute__((ext_vector_type(2))) double d = c.lo + c.hi;
#elif SPINETAIL_VECTOR_BYTES == 32
    __attribute__((ext_vector_type(2))) double d = a.lo + a.hi;
#else
    __attribute__((ext_vector_type(2))) double d = a;
#endif
    return d.x + d.y;
}

/// a · b in one instruction: the operator in Swift is one for each lane, which the compiler puts together again, but not
/// always to what they came from.
SPINETAIL_INLINE spinetail_f64 spinetail_multiply_f64(spinetail_f64 a, spinetail_f64 b) { return a * b; }
SPINETAIL_INLINE spinetail_f64 spinetail_add_f64(spinetail_f64 a, spinetail_f64 b) { return a + b; }

SPINETAIL_INLINE double spinetail_product_f64(spinetail_f64 a) {
#if SPINETAIL_VECTOR_BYTES == 64
    __attribute__((ext_vector_type(4))) double c = a.lo * a.hi;
    __attribute__((ext_vector_type(2))) double d = c.lo * c.hi;
#elif SPINETAIL_VECTOR_BYTES == 32
    __attribute__((ext_vector_type(2))) double d = a.lo * a.hi;
#else
    __attribute__((ext_vector_type(2))) double d = a;
#endif
    return d.x * d.y;
}

/// The lanes `1 << step` places up, `fill` below them.
SPINETAIL_INLINE spinetail_f64 spinetail_up_f64(spinetail_f64 a, spinetail_f64 fill, int64_t step) {
#if SPINETAIL_VECTOR_BYTES == 64
    if (step == 0) return __builtin_shufflevector(a, fill, 8, 0, 1, 2, 3, 4, 5, 6);
    if (step == 1) return __builtin_shufflevector(a, fill, 8, 8, 0, 1, 2, 3, 4, 5);
    return __builtin_shufflevector(a, fill, 8, 8, 8, 8, 0, 1, 2, 3);
#elif SPINETAIL_VECTOR_BYTES == 32
    if (step == 0) return __builtin_shufflevector(a, fill, 4, 0, 1, 2);
    return __builtin_shufflevector(a, fill, 4, 4, 0, 1);
#else
    return __builtin_shufflevector(a, fill, 2, 0);
#endif
}

/// Lane i is the sum, or the product, of the lanes 0 ... i.
SPINETAIL_INLINE spinetail_f64 spinetail_running_sum_f64(spinetail_f64 a) {
    for (int64_t step = 0; (SPINETAIL_VECTOR_BYTES / 8) >> step > 1; step++)
        a = a + spinetail_up_f64(a, (spinetail_f64)0.0, step);
    return a;
}
SPINETAIL_INLINE spinetail_f64 spinetail_running_product_f64(spinetail_f64 a) {
    for (int64_t step = 0; (SPINETAIL_VECTOR_BYTES / 8) >> step > 1; step++)
        a = a * spinetail_up_f64(a, (spinetail_f64)1.0, step);
    return a;
}

/// The last lane in all of them, and the lanes from the last to the first.
SPINETAIL_INLINE spinetail_f64 spinetail_last_f64(spinetail_f64 a) { return a[SPINETAIL_VECTOR_BYTES / 8 - 1]; }
SPINETAIL_INLINE spinetail_f64 spinetail_reverse_f64(spinetail_f64 a) {
#if SPINETAIL_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, a, 7, 6, 5, 4, 3, 2, 1, 0);
#elif SPINETAIL_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, a, 3, 2, 1, 0);
#else
    return __builtin_shufflevector(a, a, 1, 0);
#endif
}

/// The largest lane; NaN where any lane is NaN is the caller's business.
SPINETAIL_INLINE double spinetail_largest_f64(spinetail_f64 a) { return __builtin_reduce_max(a); }
SPINETAIL_INLINE double spinetail_smallest_f64(spinetail_f64 a) { return __builtin_reduce_min(a); }

#if SPINETAIL_VECTOR_BYTES == 64
#define SPINETAIL_ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define SPINETAIL_ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif SPINETAIL_VECTOR_BYTES == 32
#define SPINETAIL_ZIP_LOW 0, 4, 1, 5
#define SPINETAIL_ZIP_HIGH 2, 6, 3, 7
#else
#define SPINETAIL_ZIP_LOW 0, 2
#define SPINETAIL_ZIP_HIGH 1, 3
#endif

/// a₀ b₀ a₁ b₁ … of the lower halves of the lanes, and of the upper ones.
SPINETAIL_INLINE spinetail_f64 spinetail_zip_low_f64(spinetail_f64 a, spinetail_f64 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_ZIP_LOW);
}
SPINETAIL_INLINE spinetail_f64 spinetail_zip_high_f64(spinetail_f64 a, spinetail_f64 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_ZIP_HIGH);
}

/// Lanes 0, 2, … of a and then of b, and lanes 1, 3, ….
#if SPINETAIL_VECTOR_BYTES == 64
#define SPINETAIL_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define SPINETAIL_ODD 1, 3, 5, 7, 9, 11, 13, 15
#elif SPINETAIL_VECTOR_BYTES == 32
#define SPINETAIL_EVEN 0, 2, 4, 6
#define SPINETAIL_ODD 1, 3, 5, 7
#else
#define SPINETAIL_EVEN 0, 2
#define SPINETAIL_ODD 1, 3
#endif
SPINETAIL_INLINE spinetail_f64 spinetail_unzip_even_f64(spinetail_f64 a, spinetail_f64 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_EVEN);
}
SPINETAIL_INLINE spinetail_f64 spinetail_unzip_odd_f64(spinetail_f64 a, spinetail_f64 b) {
    return __builtin_shufflevector(a, b, SPINETAIL_ODD);
}
#undef SPINETAIL_EVEN
#undef SPINETAIL_ODD

/// The sums of four vectors, to four places.
SPINETAIL_INLINE void
spinetail_store_sums_f64(double *p, spinetail_f64 a, spinetail_f64 b, spinetail_f64 c, spinetail_f64 d) {
#if SPINETAIL_VECTOR_BYTES == 16
    spinetail_f64 low = spinetail_zip_low_f64(a, b) + spinetail_zip_high_f64(a, b);
    spinetail_f64 high = spinetail_zip_low_f64(c, d) + spinetail_zip_high_f64(c, d);
    memcpy(p, &low, sizeof low);
    memcpy(p + 2, &high, sizeof high);
#else
    spinetail_f64 ac = spinetail_zip_low_f64(a, c) + spinetail_zip_high_f64(a, c);
    spinetail_f64 bd = spinetail_zip_low_f64(b, d) + spinetail_zip_high_f64(b, d);
    spinetail_f64 s = spinetail_zip_low_f64(ac, bd) + spinetail_zip_high_f64(ac, bd);
#if SPINETAIL_VECTOR_BYTES == 64
    __attribute__((ext_vector_type(4))) double sums = s.lo + s.hi;
#else
    spinetail_f64 sums = s;
#endif
    memcpy(p, &sums, sizeof sums);
#endif
}

/// Transposes a block of width × width: out[k · out_stride + i] = in[i · in_stride + k], zeros where i >= valid. Perfect
/// shuffles, log2(width) times.
SPINETAIL_INLINE void
spinetail_transpose_f64(const double *in, ptrdiff_t in_stride, int64_t valid, double *out, ptrdiff_t out_stride) {
    enum { width = SPINETAIL_VECTOR_BYTES / 8 };
    spinetail_f64 a[width], b[width];
#pragma unroll
    for (int i = 0; i < width; i++) a[i] = i < valid ? spinetail_load_f64(in + i * in_stride) : (spinetail_f64)0;
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
    for (int i = 0; i < width; i++) spinetail_store_f64(out + i * out_stride, a[i]);
}

#undef SPINETAIL_ZIP_LOW
#undef SPINETAIL_ZIP_HIGH
#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
