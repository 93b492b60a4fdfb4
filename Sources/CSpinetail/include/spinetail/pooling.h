// Pooling over one, two or three spatial axes. Arrays are (N, C, [D, [H,]] W) with equal N and C, and all C-contiguous or all
// with their channels next to each other in memory. Scratch: a few lines for each thread, for averages.
#ifndef SPINETAIL_POOLING_H
#define SPINETAIL_POOLING_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// Parameters by spatial axis (depth, height, width); leading axes that the arrays lack hold kernel 1, stride 1,
/// padding 0, dilation 1. Arrays are (N, C, [D, [H,]] W). `adaptive` not zero: window i of n along an extent L is
/// floor(i·L / n) ..< ceil((i + 1)·L / n), and the other numbers are not used. Average only: `count_include_pad` not zero
/// counts padding (but not what ceil mode adds) in the divisor; `divisor` not zero replaces it.
typedef struct spinetail_pooling {
    int64_t kernel[3];
    int64_t stride[3];
    int64_t padding[3];
    int64_t dilation[3];
    int64_t adaptive;
    int64_t count_include_pad;
    int64_t divisor;
} spinetail_pooling;

/// output[n, c, p] = max of the input in window p; a NaN in the window is the maximum. `indices` (int32) receives the
/// place of the maximum in the plane (n, c): the first of equals, the last NaN, -1 for a window that sees no element
/// (its output is -infinity). Planes have less than 2³¹ elements.
spinetail_status spinetail_max_pool_forward(
    const spinetail_array *output, const spinetail_array *_Nullable indices, const spinetail_array *input,
    const spinetail_pooling *parameters);

/// dinput[n, c, q] = Σ of doutput[n, c, p] over the p with indices[n, c, p] = q. BAD_INDEX for indices beyond the plane.
spinetail_status spinetail_max_pool_backward(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *indices);

/// output[n, c, p] = Σ of the input in window p / divisor.
spinetail_status spinetail_average_pool_forward(
    const spinetail_array *output, const spinetail_array *input, const spinetail_pooling *parameters);

/// dinput[n, c, q] = Σ of doutput[n, c, p] / divisor over the windows p that hold q.
spinetail_status spinetail_average_pool_backward(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_pooling *parameters);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
