// Normalization: rows (layer norm, RMS norm), channels over a batch (batch norm), groups of channels (group and instance
// norm). Arrays are C-contiguous and of one dtype, float32 or float64. Inputs of the last two have the shape (batch,
// channels, ...). Statistics are gathered in blocks and merged in float64; the same for any number of threads.
#ifndef SPINETAIL_NORMALIZATION_H
#define SPINETAIL_NORMALIZATION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// Each run of `columns` elements is a row: output = (input - mean)·scale·weight + bias, scale = 1/sqrt(variance + eps).
/// `mean` and `scale` (one per row) are saved for the gradient. With `center` 0, mean is 0 and variance the mean square.
spinetail_status spinetail_normalization_rows_forward(
    const spinetail_array *output, const spinetail_array *_Nullable mean, const spinetail_array *_Nullable scale,
    const spinetail_array *input, const spinetail_array *_Nullable weight, const spinetail_array *_Nullable bias,
    int64_t columns, double eps, int64_t center);

/// Gradients of the above; those that are null are not computed. Without `mean`, it was not centered.
spinetail_status spinetail_normalization_rows_backward(
    const spinetail_array *_Nullable dinput, const spinetail_array *_Nullable dweight,
    const spinetail_array *_Nullable dbias, const spinetail_array *doutput, const spinetail_array *input,
    const spinetail_array *_Nullable mean, const spinetail_array *scale, const spinetail_array *_Nullable weight,
    int64_t columns);

/// output = (input - mean)·scale·weight + bias with the statistics of each channel. `mean` and `scale` (one per channel) are
/// saved; running statistics move by `momentum` towards the batch's mean and unbiased variance.
spinetail_status spinetail_normalization_batch_forward(
    const spinetail_array *output, const spinetail_array *mean, const spinetail_array *scale,
    const spinetail_array *_Nullable running_mean, const spinetail_array *_Nullable running_variance,
    const spinetail_array *input, const spinetail_array *_Nullable weight, const spinetail_array *_Nullable bias,
    double momentum, double eps);

/// The same with given statistics: output = (input - mean)/sqrt(variance + eps)·weight + bias.
spinetail_status spinetail_normalization_batch_inference(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *mean,
    const spinetail_array *variance, const spinetail_array *_Nullable weight, const spinetail_array *_Nullable bias,
    double eps);

/// Gradients of either; `training` says whether mean and scale depend on the input.
spinetail_status spinetail_normalization_batch_backward(
    const spinetail_array *_Nullable dinput, const spinetail_array *_Nullable dweight,
    const spinetail_array *_Nullable dbias, const spinetail_array *doutput, const spinetail_array *input,
    const spinetail_array *mean, const spinetail_array *scale, const spinetail_array *_Nullable weight,
    int64_t training);

/// output = (input - mean)·scale·weight + bias with the statistics of each group of channels of each sample. `mean` and
/// `scale` (batch · groups) are saved; weight and bias have one value per channel.
spinetail_status spinetail_normalization_group_forward(
    const spinetail_array *output, const spinetail_array *mean, const spinetail_array *scale,
    const spinetail_array *input, const spinetail_array *_Nullable weight, const spinetail_array *_Nullable bias,
    int64_t groups, double eps);

spinetail_status spinetail_normalization_group_backward(
    const spinetail_array *_Nullable dinput, const spinetail_array *_Nullable dweight,
    const spinetail_array *_Nullable dbias, const spinetail_array *doutput, const spinetail_array *input,
    const spinetail_array *mean, const spinetail_array *scale, const spinetail_array *_Nullable weight, int64_t groups);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
