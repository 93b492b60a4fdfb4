// Losses and their gradients in one sweep. Arrays are C-contiguous; floating point arrays of one call have one dtype.
#ifndef SPINETAIL_LOSS_H
#define SPINETAIL_LOSS_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// How the losses of the samples become the result: all of them (loss has one value for each sample), or one value.
enum {
    SPINETAIL_REDUCE_NONE = 0,
    SPINETAIL_REDUCE_MEAN = 1,
    SPINETAIL_REDUCE_SUM = 2,
};

/// Cross-entropy of logits (samples, classes) against class indices target (samples), int64 or uint8. `dlogits` is the
/// gradient of the result, for SPINETAIL_REDUCE_NONE that of each sample's own loss. `weight` (classes) weighs the
/// classes; samples whose target is `ignore` count for nothing. The mean divides by the sum of the weights of the
/// targets. A target outside the classes returns SPINETAIL_BAD_INDEX before anything is written. Logits may also be
/// (outer, classes, inner): the samples are then the outer · inner positions, in that order.
spinetail_status spinetail_cross_entropy(
    const spinetail_array *loss, const spinetail_array *_Nullable dlogits, const spinetail_array *logits,
    const spinetail_array *target, const spinetail_array *_Nullable weight, int64_t ignore, double smoothing,
    int64_t reduction);

/// The same against probabilities (samples, classes); the mean divides by the number of samples.
spinetail_status spinetail_cross_entropy_soft(
    const spinetail_array *loss, const spinetail_array *_Nullable dlogits, const spinetail_array *logits,
    const spinetail_array *target, const spinetail_array *_Nullable weight, double smoothing, int64_t reduction);

/// -weight[target] · input[target] of log-probabilities (samples, classes) or (outer, classes, inner); everything else as
/// in cross-entropy.
spinetail_status spinetail_nll_loss(
    const spinetail_array *loss, const spinetail_array *_Nullable dinput, const spinetail_array *input,
    const spinetail_array *target, const spinetail_array *_Nullable weight, int64_t ignore, int64_t reduction);

/// (input - target)² summed or averaged over all elements: loss has one value. `dinput` is its gradient.
spinetail_status spinetail_squared_error(
    const spinetail_array *loss, const spinetail_array *_Nullable dinput, const spinetail_array *input,
    const spinetail_array *target, int64_t reduction);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
