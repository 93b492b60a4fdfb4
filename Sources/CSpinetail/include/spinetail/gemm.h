// Matrix products. Arrays may have any strides, except that output's last axis is contiguous.
#ifndef SPINETAIL_GEMM_H
#define SPINETAIL_GEMM_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output[..., m, n] = f(a[..., m, k] · b[..., k, n] + bias[n]), leading axes equal or broadcast (extent 1, or absent
/// axes given as stride 0). `relu` not zero applies max(0, ·). Accumulates in the arrays' own dtype.
/// Scratch: one packed block of b (at most 2048 × 384 float32) and one packed block of a per thread.
spinetail_status spinetail_matmul(
    const spinetail_array *output, const spinetail_array *a, const spinetail_array *b,
    const spinetail_array *_Nullable bias, int64_t relu);

/// output[n, o] = f(input[n, i] · weight[o, i] + bias[o]).
spinetail_status spinetail_linear_forward(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *weight,
    const spinetail_array *_Nullable bias, int64_t relu);

/// dinput = doutput · weight, dweight = doutputᵀ · input, dbias = the sum of doutput's rows; NULL ones are skipped.
spinetail_status spinetail_linear_backward(
    const spinetail_array *_Nullable dinput, const spinetail_array *_Nullable dweight,
    const spinetail_array *_Nullable dbias, const spinetail_array *doutput, const spinetail_array *input,
    const spinetail_array *weight);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
