// Scaled dot product attention: softmax(scale · Q Kᵀ + mask) V, tile by tile; the scores are never stored. Arrays have
// rank 4, (batch, heads, length, width), any strides but for a contiguous last axis; an axis along which all is the
// same may have stride 0. Queries' heads are a multiple of the keys' and values' heads: neighbours share one.
#ifndef SPINETAIL_ATTENTION_H
#define SPINETAIL_ATTENTION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output = softmax(scale · query keyᵀ + mask) value. `lse` (batch, heads, queries; contiguous) gets the logarithm of
/// each row's sum of exponentials. `mask` (batch, heads, queries, keys; any strides) is bool, true where a query
/// attends, or of the other arrays' dtype and added. `causal`: query i sees keys 0 ... i. A row that sees no key gives
/// zeros and lse -∞. `dropout` (0 ... 1) is the probability with which a weight becomes 0, the others being divided by
/// 1 - dropout; which ones is a function of seed, offset and the weight's place alone.
spinetail_status spinetail_attention_forward(
    const spinetail_array *output, const spinetail_array *_Nullable lse, const spinetail_array *query,
    const spinetail_array *key, const spinetail_array *value, const spinetail_array *_Nullable mask, double scale,
    int64_t causal, double dropout, int64_t seed, int64_t offset);

/// Gradients, from what the forward pass took and gave. `dmask` (batch, heads, queries, keys; contiguous, holding
/// zeros) gets the gradient of an additive mask before it is summed over the axes along which the mask was broadcast.
spinetail_status spinetail_attention_backward(
    const spinetail_array *dquery, const spinetail_array *dkey, const spinetail_array *dvalue,
    const spinetail_array *_Nullable dmask, const spinetail_array *doutput, const spinetail_array *output,
    const spinetail_array *lse, const spinetail_array *query, const spinetail_array *key, const spinetail_array *value,
    const spinetail_array *_Nullable mask, double scale, int64_t causal, double dropout, int64_t seed, int64_t offset);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
