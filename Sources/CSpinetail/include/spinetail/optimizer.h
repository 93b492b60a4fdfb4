// Optimizer steps over many tensors in one call, and the gradient clipping that goes with them.
// Every list has one entry per parameter, in the same order, of the parameter's shape and dtype (float32 or float64; the
// parameters of one call may differ), C-contiguous; lists that an option does not use are empty. `steps` are float32
// scalars that the call increments first. `flags` are SPINETAIL_OPTIMIZER_*. Formulas are PyTorch's where it has them.
// Every gradient is first scaled by gradient_scale (negative to maximize), cut to ±gradient_bound (infinity: not), and
// l1_decay·sign(p) + weight_decay·p is added, in the same pass.
#ifndef SPINETAIL_OPTIMIZER_H
#define SPINETAIL_OPTIMIZER_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
    SPINETAIL_OPTIMIZER_DECOUPLED = 2,  // Adam, NAdam, RAdam: weight_decay takes p·lr·weight_decay from the parameter
    SPINETAIL_OPTIMIZER_NESTEROV = 4,   // SGD
    SPINETAIL_OPTIMIZER_FIRST = 8,      // SGD: the momentum buffers have no value yet and become the gradient
};

/// p -= lr·g, or with momentum: b = momentum·b + (1 - dampening)·g; p -= lr·b (Nesterov: lr·(g + momentum·b)).
spinetail_status spinetail_optimizer_sgd(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *buffers,
    ptrdiff_t buffer_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double momentum,
    double dampening, double gradient_scale, double gradient_bound, double l1_decay, double weight_decay,
    int64_t flags);

/// m = lerp(m, g, 1 - beta1); v = beta2·v + (1 - beta2)·g²; p -= lr/(1 - beta1^t) · m/(sqrt(v)/sqrt(1 - beta2^t) + eps).
/// `largest` holds AMSGrad's maxima of v, or nothing.
spinetail_status spinetail_optimizer_adam(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *squares, ptrdiff_t square_count, const spinetail_array *largest,
    ptrdiff_t largest_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double beta1, double beta2, double eps, double gradient_scale,
    double gradient_bound, double l1_decay, double weight_decay, int64_t flags);

/// v = alpha·v + (1 - alpha)·g²; d = sqrt(v) + eps (centered, where `averages` are given: sqrt(v - mean²) + eps);
/// p -= lr·g/d, or where `buffers` are given: b = momentum·b + g/d; p -= lr·b.
spinetail_status spinetail_optimizer_rmsprop(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *squares,
    ptrdiff_t square_count, const spinetail_array *averages, ptrdiff_t average_count, const spinetail_array *buffers,
    ptrdiff_t buffer_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double alpha, double eps, double momentum, double gradient_scale,
    double gradient_bound, double l1_decay, double weight_decay);

/// s += g²; p -= lr/(1 + (t - 1)·lr_decay) · g/(sqrt(s) + eps).
spinetail_status spinetail_optimizer_adagrad(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *sums, ptrdiff_t sum_count,
    const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count,
    double lr, double lr_decay, double eps, double gradient_scale, double gradient_bound, double l1_decay,
    double weight_decay);

/// m = lerp(m, g, 1 - beta1); u = max(beta2·u, |g| + eps); p -= lr/(1 - beta1^t) · m/u.
spinetail_status spinetail_optimizer_adamax(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *largest, ptrdiff_t largest_count, const spinetail_array *steps,
    ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double beta1,
    double beta2, double eps, double gradient_scale, double gradient_bound, double l1_decay, double weight_decay);

/// Adam with Nesterov's momentum; `products` are float32 scalars, the products of all momenta so far, 1 to begin with.
/// mu = beta1·(1 - 0.96^(t·momentum_decay)/2); d = sqrt(v/(1 - beta2^t)) + eps;
/// p -= lr·((1 - mu)/(1 - product)·g + mu'/(1 - product·mu')·m)/d, mu' being that of t + 1.
spinetail_status spinetail_optimizer_nadam(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *squares, ptrdiff_t square_count, const spinetail_array *products,
    ptrdiff_t product_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double beta1, double beta2, double eps, double momentum_decay,
    double gradient_scale, double gradient_bound, double l1_decay, double weight_decay, int64_t flags);

/// Adam whose step is that of momentum until its variance can be corrected (rectified).
spinetail_status spinetail_optimizer_radam(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *squares, ptrdiff_t square_count, const spinetail_array *steps,
    ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double beta1,
    double beta2, double eps, double gradient_scale, double gradient_bound, double l1_decay, double weight_decay,
    int64_t flags);

/// v = rho·v + (1 - rho)·g²; d = sqrt(deltas + eps)/sqrt(v + eps)·g; deltas = rho·deltas + (1 - rho)·d²; p -= lr·d.
spinetail_status spinetail_optimizer_adadelta(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *squares,
    ptrdiff_t square_count, const spinetail_array *deltas, ptrdiff_t delta_count, const spinetail_array *steps,
    ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double rho, double eps,
    double gradient_scale, double gradient_bound, double l1_decay, double weight_decay);

/// Sizes grow where a gradient keeps its sign and shrink where it turns, which leaves that step out; p -= size·sign(g).
spinetail_status spinetail_optimizer_rprop(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *previous,
    ptrdiff_t previous_count, const spinetail_array *sizes, ptrdiff_t size_count, const spinetail_array *steps,
    ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double shrink, double grow,
    double least, double most, double gradient_scale, double gradient_bound);

/// p = p·(1 - lambd·rate) - rate·g; average += share·(p - average); then rate = lr/(1 + lambd·lr·t)^alpha and
/// share = 1/max(1, t - begin). `rates` and `shares` are float32 scalars.
spinetail_status spinetail_optimizer_asgd(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *rates, ptrdiff_t rate_count, const spinetail_array *shares,
    ptrdiff_t share_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double lambd, double alpha, double begin, double gradient_scale,
    double gradient_bound, double l1_decay, double weight_decay);

/// p = p·(1 - lr·weight_decay) - lr·sign(lerp(m, g, 1 - beta1)); m = lerp(m, g, 1 - beta2).
spinetail_status spinetail_optimizer_lion(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double beta1,
    double beta2, double gradient_scale, double gradient_bound, double l1_decay, double weight_decay);

/// r = Adam's direction + weight_decay·p; p -= lr · min(|p|/|r|, most_trust) · r, by the norms of each tensor; a ratio
/// with a norm of 0 is 1.
spinetail_status spinetail_optimizer_lamb(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *squares, ptrdiff_t square_count, const spinetail_array *steps,
    ptrdiff_t step_count, const spinetail_array *gradients, ptrdiff_t gradient_count, double lr, double beta1,
    double beta2, double eps, double most_trust, double gradient_scale, double gradient_bound, double l1_decay,
    double weight_decay);

/// Adam of float32 parameters whose moments are bfloat16 (without scales), or bytes: averages int8, squares uint8, and a
/// float32 scale for each 256 of them, their largest. An average is ±scale·(c/127)², a square scale·(c/255)⁴. Moments
/// are rounded at random, so that they are right in the mean, by the number of the element and of the step.
spinetail_status spinetail_optimizer_adam_packed(
    const spinetail_array *parameters, ptrdiff_t parameter_count, const spinetail_array *averages,
    ptrdiff_t average_count, const spinetail_array *squares, ptrdiff_t square_count,
    const spinetail_array *average_scales, ptrdiff_t average_scale_count, const spinetail_array *square_scales,
    ptrdiff_t square_scale_count, const spinetail_array *steps, ptrdiff_t step_count, const spinetail_array *gradients,
    ptrdiff_t gradient_count, double lr, double beta1, double beta2, double eps, double gradient_scale,
    double gradient_bound, double l1_decay, double weight_decay, int64_t flags);

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
