// Convolution over one, two or three spatial axes, its gradients, and with them transposed convolution.
// Arrays are all of one dtype (float32 or float64), and hold batch and channels before 1 to 3 spatial axes:
// input (N, C, [D, [H,]] W), weight (F, C / groups, [KD, [KH,]] KW), output (N, F, [OD, [OH,]] OW). Weights and bias are
// C-contiguous. Input and output (or their gradients) are both C-contiguous, or both channels-last: in memory they lie
// without gaps as (N, [D, [H,]] W, C), under the same shape. Either is taken as it stands.
#ifndef SPINETAIL_CONVOLUTION_H
#define SPINETAIL_CONVOLUTION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// Parameters by spatial axis (depth, height, width); leading axes that the arrays lack hold stride 1, padding 0,
/// dilation 1. A negative padding_after leaves that much of the input's end out. `groups` cuts channels and filters into as many independent convolutions.
typedef struct spinetail_convolution {
    int64_t stride[3];
    int64_t padding_before[3];
    int64_t padding_after[3];
    int64_t dilation[3];
    int64_t groups;
    int64_t algorithm;
} spinetail_convolution;

/// How a convolution and its gradient to the input are computed: what takes fewest cycles by count; directly, each sum as it
/// is written; by Winograd's F(4×4, 3×3) wherever it can be (float32, two spatial axes, 3×3, stride and dilation 1, wide
/// vectors), whose error is about 3e-7 · Σ|weight · input|, up to 2e-5 of the largest result, where a direct sum's is 3e-6; or
/// there by F(2×2, 3×3), with twice the multiplications, fewer than half the filters' memory and a direct sum's error.
#define SPINETAIL_CONVOLUTION_AUTOMATIC 0
#define SPINETAIL_CONVOLUTION_DIRECT 1
#define SPINETAIL_CONVOLUTION_WINOGRAD 2
#define SPINETAIL_CONVOLUTION_WINOGRAD2 3

/// output[n, f, p] = g(bias[f] + Σ over c, k of weight[f, c, k] · input[n, c, p · stride + k · dilation - padding]), zeros
/// outside the input. `activation` is SPINETAIL_IDENTITY or SPINETAIL_RELU. Accumulates in the arrays' own dtype.
/// Output extent: floor((input + padding_before + padding_after - dilation · (kernel - 1) - 1) / stride) + 1.
/// Scratch: the packed weights (their size, rows rounded up to the register tile), and per thread one packed panel of 32
/// float32 pixels, of at most 4 kB of depth each, with the sums of at most 16 panels that wait for the next depth.
/// Winograd: weights 4 times as large, and per thread (or block, where blocks are few) 36 numbers for each channel of 13 to
/// 104 tiles of 4×4 results, at least 52 where there are so many. Depthwise (one input channel a group):
/// one padded plane per thread. At most 64 pixels of output in all and no fewer filters: what each of them sees.
/// Channels-last: the packed weights, and per thread 512 kB of packed pixels, at least 52 (24 with narrow vectors).
spinetail_status spinetail_convolution_forward(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *weight,
    const spinetail_array *_Nullable bias, const spinetail_convolution *parameters, int64_t activation);

/// The transpose of the forward map: dinput[n, c, q] = g(bias[c] + Σ of weight[f, c, k] · doutput[n, f, p] over all f, p, k
/// with p · stride + k · dilation - padding = q). Without bias this is the gradient to the input; with it, transposed
/// convolution, where dinput's extents may exceed what doutput reaches (output padding). Scratch as in the forward.
spinetail_status spinetail_convolution_backward_input(
    const spinetail_array *dinput, const spinetail_array *doutput, const spinetail_array *weight,
    const spinetail_array *_Nullable bias, const spinetail_convolution *parameters, int64_t activation);

/// dweight[f, c, k] = Σ over n, p of doutput[n, f, p] · input[n, c, p · stride + k · dilation - padding].
/// Scratch: at most 8 partial gradients of at most 4 MB in all (or one, if that is more), and per thread 256 pixels of
/// doutput and of one tile of the input. Channels-last: no partial gradients.
spinetail_status spinetail_convolution_backward_weight(
    const spinetail_array *dweight, const spinetail_array *doutput, const spinetail_array *input,
    const spinetail_convolution *parameters);

/// dbias[f] = Σ over n and all spatial axes of doutput[n, f, ...].
spinetail_status spinetail_convolution_backward_bias(const spinetail_array *dbias, const spinetail_array *doutput);

/// Inference computes many convolutions with the same weights. These three take arrays with channels last (which C-ordered
/// ones also are where one channel or one pixel is all there is) and weights that have been prepared once: packed for the
/// tiles of the product, or transformed. How they lie is for the library to know, and may differ between its builds.
///
/// choice[0] = the algorithm that takes fewest cycles for these shapes, never SPINETAIL_CONVOLUTION_AUTOMATIC, and choice[1]
/// = the elements of the weights prepared for it. Transforming weights costs nothing here, but they come from memory at every
/// call. Of the arrays, only shapes, layouts and dtypes are read.
spinetail_status spinetail_convolution_choose(
    const spinetail_array *choice, const spinetail_array *output, const spinetail_array *input,
    const spinetail_array *weight, const spinetail_convolution *parameters);

/// Prepares weights for `parameters->algorithm`, which is a choice; of the other parameters only `groups` matters.
/// prepared (choice[1]). Scratch: per thread 9 kB.
spinetail_status spinetail_convolution_prepare(
    const spinetail_array *prepared, const spinetail_array *weight, const spinetail_convolution *parameters);

/// output = g(convolution + bias + residual): as `forward`, with weights prepared for `parameters->algorithm`. `weight` says
/// their shape and is not read. residual has the output's shape, channels last, and may be the output. `activation` is a
/// function code of activation.h (SPINETAIL_IDENTITY, RELU, LEAKY_RELU, GELU, GELU_TANH, SILU, SIGMOID, TANH, HARDTANH,
/// HARDSWISH) with its alpha and beta. Scratch: as in `forward`, without the weights.
spinetail_status spinetail_convolution_forward_prepared(
    const spinetail_array *output, const spinetail_array *input, const spinetail_array *prepared,
    const spinetail_array *weight, const spinetail_array *_Nullable bias, const spinetail_array *_Nullable residual,
    const spinetail_convolution *parameters, int64_t activation, double alpha, double beta);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
