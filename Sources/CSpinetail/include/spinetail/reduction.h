// Reductions: one value for each line of elements. Floating point arrays of one call have one dtype.
#ifndef SPINETAIL_REDUCTION_H
#define SPINETAIL_REDUCTION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// What becomes of a line x of n elements.
enum {
    SPINETAIL_SUM = 0,          // Σ x / parameter
    SPINETAIL_SUM_ABS = 1,      // Σ |x| / parameter
    SPINETAIL_SUM_SQUARES = 2,  // Σ x² / parameter
    SPINETAIL_PRODUCT = 3,
    SPINETAIL_LARGEST = 4,  // NaN where there is one, and so in the next three
    SPINETAIL_SMALLEST = 5,
    SPINETAIL_LARGEST_ABS = 6,
    SPINETAIL_SMALLEST_ABS = 7,
    SPINETAIL_FIND_LARGEST = 8,   // and its index, the first of equal ones; the first NaN wins over all
    SPINETAIL_FIND_SMALLEST = 9,  // the same
    SPINETAIL_SPREAD = 10,        // Σ (x - mean)² / parameter
    SPINETAIL_LOG_SUM_EXP = 11,
    SPINETAIL_NORM = 12,  // √Σ x²
};

/// One value for each line along the axes first ... last of a C-contiguous input; or along the middle axis (1, 1) of an
/// input (outer, n, inner) with free strides, but for the last axis longer than 1, whose neighbours are neighbouring
/// elements. Lines are not empty. `values` and `indices` (int64) hold a result for each line in C order; indices are for
/// SPINETAIL_FIND_… alone, where either of the two may be missing. float32 is summed and multiplied in float64, float64
/// is summed with compensation: the error of a sum is that of adding eight elements.
spinetail_status spinetail_reduction(
    const spinetail_array *_Nullable values, const spinetail_array *_Nullable indices, const spinetail_array *input,
    int64_t first, int64_t last, int64_t operation, double parameter);

/// The k = values' columns best elements of each row of input (rows, n) in order, and where they are (int64): the largest
/// unless `largest` is 0. NaN counts as the largest, and of equal elements the first is the better one.
spinetail_status spinetail_top(
    const spinetail_array *values, const spinetail_array *indices, const spinetail_array *input, int64_t largest);

/// What runs along a line.
enum {
    SPINETAIL_RUNNING_SUM = 0,
    SPINETAIL_RUNNING_PRODUCT = 1,
};

/// output[i] = input[0] ∘ … ∘ input[i] along an axis, or from the end if `reverse` is not 0; both C-contiguous, of one
/// shape. The output has the dtype of a floating point input, which is computed in float64; for integers and bool it is
/// int64, computed modulo 2^64.
spinetail_status spinetail_running(
    const spinetail_array *output, const spinetail_array *input, int64_t axis, int64_t operation, int64_t reverse);

/// The gradient of running products, for zeros too: dinput[i] = output[i - 1] · s[i], s[i] = doutput[i] + input[i + 1] ·
/// s[i + 1]. All C-contiguous, of one shape.
spinetail_status spinetail_running_product_backward(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *output,
    const spinetail_array *input, int64_t axis);

/// Whether some element of each line along the axes first ... last of a C-contiguous input is not zero, or whether all
/// of them are not if `all` is not 0. Any dtype; NaN is not zero. output is bool, with a result for each line in C order.
spinetail_status
spinetail_truth(const spinetail_array *output, const spinetail_array *input, int64_t first, int64_t last, int64_t all);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
