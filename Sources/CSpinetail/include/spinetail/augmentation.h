// Augmentation: images cut out, turned over, padded and normalised in one pass, each in a way of its own.
#ifndef SPINETAIL_AUGMENTATION_H
#define SPINETAIL_AUGMENTATION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output[n, c, i, j] = (input[n, c, rows[n, i], columns[n, j]] - mean[c]) · factor[c], and fill[c] where one of the two
/// places is negative. output (N, C, H', W') is float32 or float64, as are mean, factor and fill (C); input (N, C, H, W)
/// is of its dtype or uint8; rows (N, H') and columns (N, W') are int32. C-contiguous. BAD_INDEX for places beyond the
/// input.
spinetail_status spinetail_augment_place(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *rows,
    const spinetail_array *columns, const spinetail_array *mean, const spinetail_array *factor,
    const spinetail_array *fill);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
