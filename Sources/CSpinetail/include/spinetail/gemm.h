// Matrix products. Arrays may have any strides, except that output's last axis is contiguous.
#ifndef SPINETAIL_GEMM_H
#define SPINETAIL_GEMM_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output[..., m, n] = f(a[..., m, k] · b[..., k, n] + bias), leading axes equal or broadcast (extent 1). `bias` has shape
/// (n), one value for each column, or (m, 1), one for each row. `activation` is the code of f, one of those of
/// activation.h that take no parameters: identity, relu, gelu, gelu_tanh, silu, sigmoid, tanh.
/// Accumulates in the arrays' own dtype. float16 and bfloat16 a and b (both the same) are summed in float32 and rounded
/// once, to nearest even; output and bias are then of that dtype or float32. Scratch: at most 32 MiB of packed a, and one packed panel of b per thread.
spinetail_status spinetail_matmul(
    const spinetail_array *output, const spinetail_array *a, const spinetail_array *b,
    const spinetail_array *_Nullable bias, int64_t activation);

/// output = f(alpha · a·b + beta · addend + bias + residual), else like spinetail_matmul. `addend` and `residual` have
/// the output's rank, and its extents or 1; they may not overlap it. Where beta is 0 the addend is not read.
spinetail_status spinetail_gemm(
    const spinetail_array *output, const spinetail_array *a, const spinetail_array *b,
    const spinetail_array *_Nullable addend, const spinetail_array *_Nullable bias,
    const spinetail_array *_Nullable residual, double alpha, double beta, int64_t activation);

/// output[n, o] = f(input[n, i] · weight[o, i] + bias[o]), f and float16 and bfloat16 as above.
spinetail_status spinetail_linear_forward(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *weight,
    const spinetail_array *_Nullable bias, int64_t activation);

/// dinput = doutput · weight, dweight = doutputᵀ · input, dbias = the sum of doutput's rows; NULL ones are skipped. Where
/// the layer ended with max(0, ·), `output` is what it gave, and doutput counts only where that is not 0.
/// Scratch: with `output`, a copy of doutput.
spinetail_status spinetail_linear_backward(
    const spinetail_array *_Nullable dinput, const spinetail_array *_Nullable dweight,
    const spinetail_array *_Nullable dbias, const spinetail_array *doutput, const spinetail_array *_Nullable output,
    const spinetail_array *input, const spinetail_array *weight);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
