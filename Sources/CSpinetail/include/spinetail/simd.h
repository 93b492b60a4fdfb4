// Vector primitives that Swift's standard library does not lower to one instruction. One vector width per CPU level;
// plain arithmetic and comparisons are Swift's own operators.
#ifndef SPINETAIL_SIMD_H
#define SPINETAIL_SIMD_H

#if defined(__clang__)

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define SPINETAIL_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define SPINETAIL_VECTOR_BYTES 32
#else
#define SPINETAIL_VECTOR_BYTES 16
#endif

#include "spinetail/simd_float32.h"
#include "spinetail/simd_float64.h"
#include "spinetail/simd_convert.h"
#include "spinetail/simd_half.h"
#include "spinetail/simd_tables.h"
#include "spinetail/simd_random.h"
#include "spinetail/simd_state.h"

#endif
#endif
