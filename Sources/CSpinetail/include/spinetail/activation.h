// Elementwise functions and softmax. Arrays of one call have one dtype (float32 or float64) and are C-contiguous.
#ifndef SPINETAIL_ACTIVATION_H
#define SPINETAIL_ACTIVATION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// Function codes. "saves output" means that the backward kernel takes f(x) in place of x.
enum {
    SPINETAIL_IDENTITY = 0,
    SPINETAIL_RELU = 1,        // saves output
    SPINETAIL_LEAKY_RELU = 2,  // alpha: slope below 0
    SPINETAIL_ELU = 3,         // alpha · (exp(beta·x) - 1) below 0
    SPINETAIL_SELU = 4,
    SPINETAIL_GELU = 5,
    SPINETAIL_GELU_TANH = 6,
    SPINETAIL_SILU = 7,
    SPINETAIL_MISH = 8,
    SPINETAIL_SIGMOID = 9,  // saves output
    SPINETAIL_LOGSIGMOID = 10,
    SPINETAIL_TANH = 11,      // saves output
    SPINETAIL_SOFTPLUS = 12,  // log(1 + exp(alpha·x)) / alpha, x where alpha·x > beta
    SPINETAIL_SOFTSIGN = 13,
    SPINETAIL_HARDTANH = 14,  // clamp to alpha ... beta; saves output
    SPINETAIL_HARDSIGMOID = 15,
    SPINETAIL_HARDSWISH = 16,
    SPINETAIL_TANHSHRINK = 17,
    SPINETAIL_SOFTSHRINK = 18,  // alpha: width
    SPINETAIL_HARDSHRINK = 19,  // alpha: width
    SPINETAIL_THRESHOLD = 20,   // x > alpha ? x : beta
    SPINETAIL_EXP = 21,         // saves output
    SPINETAIL_EXPM1 = 22,       // saves output
    SPINETAIL_LOG = 23,
    SPINETAIL_LOG1P = 24,
    SPINETAIL_ERF = 25,
    SPINETAIL_SIN = 26,
    SPINETAIL_COS = 27,
    SPINETAIL_RSQRT = 28,  // saves output
};

/// output = f(input), all of one shape; output may be the input itself.
spinetail_status spinetail_activation_forward(
    const spinetail_array *output, const spinetail_array *input, int64_t function, double alpha, double beta);

/// dinput = doutput · f'; `saved` is what the function code says; dinput may be either of the two.
spinetail_status spinetail_activation_backward(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *saved, int64_t function,
    double alpha, double beta);

/// Along one axis (0 ... rank-1): output = softmax(input), or its logarithm where `logarithm` is not 0. output may be
/// the input itself.
spinetail_status
spinetail_softmax_forward(const spinetail_array *output, const spinetail_array *input, int64_t axis, int64_t logarithm);

/// dinput from the gradient and the saved output of the forward call.
spinetail_status spinetail_softmax_backward(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *output, int64_t axis,
    int64_t logarithm);

/// Along the last axis: output = dropout(softmax(input + mask)), with the elements kept and the factor of
/// `spinetail_random_dropout`. The mask has the input's shape and any strides but for a contiguous last axis. A row that it
/// hides wholly (-∞) becomes 0. `statistics`, (rows, 2), is saved for the gradient: what a row's exponentials are the distance
/// from, and the reciprocal of their sum. output may be the input itself. 0 <= probability < 1.
spinetail_status spinetail_softmax_dropout_forward(
    const spinetail_array *output, const spinetail_array *_Nullable statistics, const spinetail_array *input,
    const spinetail_array *_Nullable mask, int64_t seed, int64_t offset, double probability);

/// The gradient to the input, and to the mask where it is not broadcast; the other arguments are the forward call's.
spinetail_status spinetail_softmax_dropout_backward(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *statistics,
    const spinetail_array *input, const spinetail_array *_Nullable mask, int64_t seed, int64_t offset,
    double probability);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
