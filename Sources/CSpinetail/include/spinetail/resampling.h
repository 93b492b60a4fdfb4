// Resampling: images at another size, pixels at any place, and windows as columns. Arrays are C-contiguous. Scratch:
// `resample` takes a padded copy of the horizontal table and at most one band of rows per thread; the others none.
#ifndef SPINETAIL_RESAMPLING_H
#define SPINETAIL_RESAMPLING_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// Parameters by axis (height, width) of windows that slide over images.
typedef struct spinetail_windows {
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
    int64_t dilation[2];
} spinetail_windows;

/// output[b, i, j] = Σₛ Σₜ v[s, i] · h[t, j] · input[b, vp[s, i], hp[t, j]], with the tables v, vp (taps, height) and
/// h, hp (taps, width); NULL for both tables of an axis leaves it as it is. Places are int32 and lie within the input.
/// An output whose first weight is 0 is 0, whatever the others are. BAD_INDEX for places beyond the input.
spinetail_status spinetail_resample(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *_Nullable vertical_places,
    const spinetail_array *_Nullable vertical_weights, const spinetail_array *_Nullable horizontal_places,
    const spinetail_array *_Nullable horizontal_weights);

/// output[n, c, p] = Σₜ weights[n, t, p] · input[n, c, places[n, t, p]]; places are int32, and what lies at a negative one
/// is 0. BAD_INDEX for places beyond the input.
spinetail_status spinetail_sample_forward(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *places,
    const spinetail_array *weights);

/// dinput[n, c, q] = Σ of weights[n, t, p] · doutput[n, c, p] over the (t, p) with places[n, t, p] = q.
spinetail_status spinetail_sample_backward_input(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *places,
    const spinetail_array *weights);

/// dweights[n, t, p] = Σ over c of doutput[n, c, p] · input[n, c, places[n, t, p]].
spinetail_status spinetail_sample_backward_weights(
    const spinetail_array *dweights, const spinetail_array *doutput, const spinetail_array *input,
    const spinetail_array *places);

/// columns[n, (c, i, j), (y, x)] = input[n, c, y·stride + i·dilation - padding, x·stride + j·dilation - padding], zeros
/// outside the input; input (N, C, H, W), columns (N, C·kernel, windows).
spinetail_status
spinetail_unfold(const spinetail_array *columns, const spinetail_array *input, const spinetail_windows *parameters);

/// The transpose of `unfold`: output[n, c, h, w] = Σ of the columns' elements that stand for it.
spinetail_status
spinetail_fold(const spinetail_array *output, const spinetail_array *columns, const spinetail_windows *parameters);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
