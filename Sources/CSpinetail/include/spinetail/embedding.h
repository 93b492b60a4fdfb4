// Embedding: rows of a table by number. Indices are int32 or int64; everything is C-contiguous.
#ifndef SPINETAIL_EMBEDDING_H
#define SPINETAIL_EMBEDDING_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output[i, :] = weight[indices[i], :] for any dtype; output has the indices' elements times the table's columns.
spinetail_status spinetail_embedding_forward(
    const spinetail_array *output, const spinetail_array *indices, const spinetail_array *weight);

/// dweight[r, :] = Σ doutput[i, :] over the i with indices[i] = r, in their order; 0 where there is none, and in the row
/// `padding` (negative: none). With `by_frequency`, each is divided by how often its index occurs.
spinetail_status spinetail_embedding_backward(
    const spinetail_array *dweight, const spinetail_array *doutput, const spinetail_array *indices, int64_t padding,
    int64_t by_frequency);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
