// Optimizer steps over many tensors in one call, and the gradient clipping that goes with them.
// Every list has one entry per parameter, in the same order, of the parameter's shape and dtype (float32 or float64; the
// parameters of one call may differ), C-contiguous; lists that an option does not use are empty. `steps` are float32
// scalars that the call increments first. `flags` are SPINETAIL_OPTIMIZER_*. Formulas are PyTorch's.
#ifndef SPINETAIL_OPTIMIZER_H
#define SPINETAIL_OPTIMIZER_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
    SPINETAIL_OPTIMIZER_MAXIMIZE = 1,   // the gradient's sign is turned
    SPINETAIL_OPTIMIZER_DECOUPLED = 2,  // Adam: decay the parameter itself (AdamW)
    SPINETAIL_OPTIMIZER_NESTEROV = 4,   // SGD
    SPINETAIL_OPTIMIZER_FIRST = 8,      // SGD: the momentum buffers have no value yet and become the gradient
};

/// p -= lr·g, or with momentum: b = momentum·b + (1 - dampening)·g; p -= lr·b (Nesterov: lr·(g + momentum·b)).
spinetail_status spinetail_optimizer_sgd(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *buffers,
    ptrdiff_t buffer_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double momentum,
    double dampening, double weight_decay, int64_t flags);

/// m = lerp(m, g, 1 - beta1); v = beta2·v + (1 - beta2)·g²; p -= lr/(1 - beta1^t) · m/(sqrt(v)/sqrt(1 - beta2^t) + eps).
/// `largest` holds AMSGrad's maxima of v, or nothing.
spinetail_status spinetail_optimizer_adam(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *squares, ptrdiff_t square_count, const spinetail_array *largest,
    ptrdiff_t largest_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double beta1, double beta2, double eps, double weight_decay, int64_t flags);

/// v = alpha·v + (1 - alpha)·g²; d = sqrt(v) + eps (centered, where `averages` are given: sqrt(v - mean²) + eps);
/// p -= lr·g/d, or where `buffers` are given: b = momentum·b + g/d; p -= lr·b.
spinetail_status spinetail_optimizer_rmsprop(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *squares,
    ptrdiff_t square_count, const spinetail_array *averages, ptrdiff_t average_count, const spinetail_array *buffers,
    ptrdiff_t buffer_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double alpha, double eps, double weight_decay, double momentum, int64_t flags);

/// s += g²; p -= lr/(1 + (t - 1)·lr_decay) · g/(sqrt(s) + eps).
spinetail_status spinetail_optimizer_adagrad(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *sums, ptrdiff_t sum_count,
    const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count,
    double lr, double lr_decay, double eps, double weight_decay, int64_t flags);

/// totals (float64, one per tensor) = Σ|g|^order over each tensor, or max|g| where order is infinity.
spinetail_status spinetail_optimizer_power_sums(
    const spinetail_array *totals, const spinetail_array *gradients, ptrdiff_t gradient_count, double order);

/// g *= factor.
spinetail_status spinetail_optimizer_scale(const spinetail_array *gradients, ptrdiff_t gradient_count, double factor);

/// g = min(max(g, low), high); NaN stays.
spinetail_status
spinetail_optimizer_clamp(const spinetail_array *gradients, ptrdiff_t gradient_count, double low, double high);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
