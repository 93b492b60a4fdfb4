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

/// Which keys a query sees: query i stands at key i, or with `lower_right` (0 or 1) at key i + keys - queries, and sees
/// `left` keys before that one through `right` keys after it; negative: all of them. Others are never read for it.
/// `seed`, `offset`: of the dropout. `splits`: how many parts the keys of few queries are cut into, each summed by itself;
/// 0: as many as pay for the whole call.
typedef struct spinetail_attention {
    int64_t left;
    int64_t right;
    int64_t lower_right;
    int64_t seed;
    int64_t offset;
    int64_t splits;
} spinetail_attention;

/// bfloat16 and float16 arrays are computed in float32 and rounded once; lse, slopes and an additive mask are float32.
/// output = softmax(cap(scale · query keyᵀ) - slope · distance + mask) value. `lse` (batch, heads, queries; contiguous)
/// gets the logarithm of each row's sum of exponentials. `softcap` 0: cap is the identity, else cap(x) = softcap ·
/// tanh(x / softcap). `slopes` (batch, heads; any strides): ALiBi's, times the distance of a key from the query's place.
/// `mask` (batch, heads, queries, keys; any strides) is bool, true where a query attends, or of the other arrays' dtype
/// and added. A row that sees no key gives zeros and lse -∞. `dropout` (0 ... 1) is the probability with which a weight
/// becomes 0, the others being divided by 1 - dropout; which ones is a function of seed, offset and the weight's place.
/// `query_offsets`, `key_offsets` (int64, contiguous, n + 1 numbers from 0 to all queries and to all keys, never falling):
/// the only batch holds n sequences one after another, each of which sees itself alone, `slopes` is (n, heads) and there
/// is no mask. `key_lengths` (int64, n): how many of its keys each sequence uses, from the first on. `block_table` (int32,
/// contiguous, n × pages), with key_lengths and in the place of key_offsets: keys and values are pages (pages of all,
/// heads, rows, width), and row r of sequence i is row r mod `rows` of page block_table[i, r / rows]; no dropout.
/// Keys and values may be narrower than queries that are computed in float32: of bfloat16, float16, or int8 with
/// `key_scales` and `value_scales` (float32; the keys' batches, heads and rows, contiguous last axis), each row being its
/// whole numbers times its scale.
spinetail_status spinetail_attention_forward(
    const spinetail_array *output, const spinetail_array *_Nullable lse, const spinetail_array *query,
    const spinetail_array *key, const spinetail_array *value, const spinetail_array *_Nullable mask,
    const spinetail_array *_Nullable slopes, const spinetail_array *_Nullable query_offsets,
    const spinetail_array *_Nullable key_offsets, const spinetail_array *_Nullable key_lengths,
    const spinetail_array *_Nullable block_table, const spinetail_array *_Nullable key_scales,
    const spinetail_array *_Nullable value_scales, double scale, double softcap, double dropout,
    const spinetail_attention *options);

/// Gradients, from what the forward pass took and gave. `dmask` (batch, heads, queries, keys; contiguous, holding
/// zeros) gets the gradient of an additive mask before it is summed over the axes along which the mask was broadcast.
spinetail_status spinetail_attention_backward(
    const spinetail_array *dquery, const spinetail_array *dkey, const spinetail_array *dvalue,
    const spinetail_array *_Nullable dmask, const spinetail_array *doutput, const spinetail_array *output,
    const spinetail_array *lse, const spinetail_array *query, const spinetail_array *key, const spinetail_array *value,
    const spinetail_array *_Nullable mask, const spinetail_array *_Nullable slopes,
    const spinetail_array *_Nullable query_offsets, const spinetail_array *_Nullable key_offsets, double scale,
    double softcap, double dropout, const spinetail_attention *options);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
