// Random numbers from Philox 4x32-10, a counter-based generator: element i is a function of (seed, offset, i) alone, so a
// mask is made again rather than stored, and neither threads nor vector widths matter.
#ifndef SPINETAIL_RANDOM_H
#define SPINETAIL_RANDOM_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// 32 random bits for each element of an int32 array. Elements come in blocks of 32: the one at 32·b + 8·w + l is word w of
/// counter (8·b + l, offset), each half of it 64 bits, with the seed as key.
spinetail_status spinetail_random_bits(const spinetail_array *output, int64_t seed, int64_t offset);

/// output = input·scale + shift where the element's bits are at least probability·2^32, else `dropped`. C-contiguous
/// float32 or float64 of one shape; output may be the input itself. 0 <= probability < 1.
spinetail_status spinetail_random_dropout(
    const spinetail_array *output, const spinetail_array *input, int64_t seed, int64_t offset, double probability,
    double scale, double shift, double dropped);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
