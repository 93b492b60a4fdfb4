// Rotary embedding: pairs of numbers of each head turned by angles that grow with the position.
#ifndef SPINETAIL_ROTARY_H
#define SPINETAIL_ROTARY_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output = input, (batch, heads, length, width), with each pair (a, b) as (a·cosine - b·sine, b·cosine + a·sine).
/// `cosine` and `sine` are (batch or 1, length, pairs); pair i of a head is at 2i and 2i + 1 if `interleaved`, else at i and
/// i + pairs; what follows the pairs is copied. `inverse` turns the other way, which is the gradient. Any strides but
/// for a contiguous last axis; output may be the input. dtypes: float32 and float64, all the same, or float16 and
/// bfloat16 with a float32 cosine and sine.
spinetail_status spinetail_rotary(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *cosine,
    const spinetail_array *sine, int64_t interleaved, int64_t inverse);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
