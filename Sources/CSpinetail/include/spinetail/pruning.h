// Pruning: the exact k-th smallest magnitude over one or many arrays, and the masks that follow from it. Lists hold
// C-contiguous arrays, all float32 or all float64; masks are bool arrays of the same shapes.
#ifndef SPINETAIL_PRUNING_H
#define SPINETAIL_PRUNING_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// What separates the `count` smallest magnitudes from the others. threshold[0] (of the arrays' dtype) is the largest
/// magnitude among the `count`; ties (int64): [0] how many elements of that magnitude are among them, [1] how many there
/// are. 1 <= count <= elements in all. A NaN is SPINETAIL_BAD_PARAMETER.
spinetail_status spinetail_pruning_select(
    const spinetail_array *threshold, const spinetail_array *ties, const spinetail_array *arrays, ptrdiff_t array_count,
    int64_t count);

/// masks = |array| > threshold, or equal to it and not one of the first `dropped` such elements in the order of the list.
/// With dropped < 0, all of those are false.
spinetail_status spinetail_pruning_masks(
    const spinetail_array *masks, ptrdiff_t mask_count, const spinetail_array *arrays, ptrdiff_t array_count,
    double threshold, int64_t dropped);

/// array = mask ? array : 0.
spinetail_status spinetail_pruning_apply(
    const spinetail_array *arrays, ptrdiff_t array_count, const spinetail_array *masks, ptrdiff_t mask_count);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
