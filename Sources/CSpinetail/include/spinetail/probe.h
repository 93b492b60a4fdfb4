// Probes of the machine: what its multiply-adds and its memory can do at most, as the denominator of measurements. Work is
// cut into pieces that each take less than about 20 ms; the caller times the call.
#ifndef SPINETAIL_PROBE_H
#define SPINETAIL_PROBE_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// Multiply-adds in registers alone, in chains that do not wait for each other: `steps` (0 ... 1,000,000) rounds for each
/// element of `sums` (one axis, float32 or float64), which is one piece and receives a sum of the chains. operations
/// (float64, the same shape) receives how many floating-point operations the piece was.
spinetail_status
spinetail_probe_arithmetic(const spinetail_array *sums, const spinetail_array *operations, int64_t steps);

/// Reads the input (float32, C-contiguous) in as many equal pieces as `sums` (one axis, float32) has elements, each
/// `repeats` times in a row, and keeps a sum of each. A piece may touch at most 2^26 elements, repeats included.
spinetail_status spinetail_probe_read(const spinetail_array *sums, const spinetail_array *input, int64_t repeats);

/// The same for writing: in repeat r, the output's elements become r.
spinetail_status spinetail_probe_write(const spinetail_array *output, int64_t pieces, int64_t repeats);

/// The same for copying the input to the output, of one shape; they do not overlap.
spinetail_status
spinetail_probe_copy(const spinetail_array *output, const spinetail_array *input, int64_t pieces, int64_t repeats);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
