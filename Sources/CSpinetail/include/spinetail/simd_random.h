// Philox and the masks made from it; simd.h includes this file.
#ifndef SPINETAIL_SIMD_RANDOM_H
#define SPINETAIL_SIMD_RANDOM_H

#pragma clang assume_nonnull begin

#define SPINETAIL_INLINE static inline __attribute__((always_inline))

/// 32 numbers of Philox 4x32-10: counters `first` ... first + 7 beside `offset`, out[8·w + l] is word w of counter l.
/// Every lane is a 64-bit word whose upper half is ignored, which is what a 32-bit multiplication to 64 bits wants.
SPINETAIL_INLINE void spinetail_philox(int64_t seed, int64_t offset, int64_t first, uint32_t *out) {
    typedef uint64_t lanes __attribute__((ext_vector_type(8)));
    typedef uint32_t half __attribute__((ext_vector_type(8)));
    const lanes low = 0xFFFFFFFFu;
    lanes counter = (lanes)(uint64_t)first + (lanes){0, 1, 2, 3, 4, 5, 6, 7};
    lanes c0 = counter & low, c1 = counter >> 32, c2 = (uint64_t)offset & 0xFFFFFFFFu, c3 = (uint64_t)offset >> 32;
    uint32_t k0 = (uint32_t)(uint64_t)seed, k1 = (uint32_t)((uint64_t)seed >> 32);
#pragma clang loop unroll(full)
    for (int round = 0; round < 10; round++) {
        lanes a = (c0 & low) * (lanes)(uint64_t)0xD2511F53u;
        lanes b = (c2 & low) * (lanes)(uint64_t)0xCD9E8D57u;
        c0 = (b >> 32) ^ c1 ^ (lanes)(uint64_t)k0;
        c2 = (a >> 32) ^ c3 ^ (lanes)(uint64_t)k1;
        c1 = b & low;
        c3 = a & low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    half words[4] = {
        __builtin_convertvector(c0, half), __builtin_convertvector(c1, half), __builtin_convertvector(c2, half),
        __builtin_convertvector(c3, half)};
    memcpy(out, words, sizeof words);
}

/// probability · 2^32, to the nearest, for a probability in [0, 1); at most 2^32 - 1.
SPINETAIL_INLINE int64_t spinetail_threshold(double probability) {
    double value = probability * 4294967296.0 + 0.5;
    return value < 4294967295.0 ? (int64_t)value : 4294967295;
}

/// Lanes whose 32 bits are at least the threshold.
SPINETAIL_INLINE spinetail_i32 spinetail_at_least_f32(const uint32_t *p, uint32_t threshold) {
    typedef uint32_t words __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
    words a;
    memcpy(&a, p, sizeof a);
    return (spinetail_i32)(a >= (words)threshold);
}

SPINETAIL_INLINE spinetail_i64 spinetail_at_least_f64(const uint32_t *p, uint32_t threshold) {
    typedef uint32_t words __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));
    words a;
    memcpy(&a, p, sizeof a);
    return __builtin_convertvector(a, spinetail_i64) >= (spinetail_i64)(int64_t)threshold;
}

/// Masks as bytes: 1 where the lane's mask is set; and back, any byte but 0 being set.
SPINETAIL_INLINE void spinetail_store_mask_f32(uint8_t *p, spinetail_i32 mask) {
    typedef uint8_t bytes __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
    bytes a = __builtin_convertvector(mask & 1, bytes);
    memcpy(p, &a, SPINETAIL_VECTOR_BYTES / 4);
}

SPINETAIL_INLINE void spinetail_store_mask_f64(uint8_t *p, spinetail_i64 mask) {
    typedef uint8_t bytes __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));
    bytes a = __builtin_convertvector(mask & 1, bytes);
    memcpy(p, &a, SPINETAIL_VECTOR_BYTES / 8);
}

SPINETAIL_INLINE spinetail_i32 spinetail_load_mask_f32(const uint8_t *p) {
    typedef uint8_t bytes __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 4)));
    bytes a;
    memcpy(&a, p, SPINETAIL_VECTOR_BYTES / 4);
    return __builtin_convertvector(a, spinetail_i32) != 0;
}

SPINETAIL_INLINE spinetail_i64 spinetail_load_mask_f64(const uint8_t *p) {
    typedef uint8_t bytes __attribute__((ext_vector_type(SPINETAIL_VECTOR_BYTES / 8)));
    bytes a;
    memcpy(&a, p, SPINETAIL_VECTOR_BYTES / 8);
    return __builtin_convertvector(a, spinetail_i64) != 0;
}

#undef SPINETAIL_INLINE
#pragma clang assume_nonnull end

#endif
