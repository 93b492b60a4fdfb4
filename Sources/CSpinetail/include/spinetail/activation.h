// Elementwise activations. Arrays are C-contiguous and of one shape; output may be the input itself.
#ifndef SPINETAIL_ACTIVATION_H
#define SPINETAIL_ACTIVATION_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
    SPINETAIL_IDENTITY = 0,
    SPINETAIL_RELU = 1,
};

/// output = f(input). `alpha` is the slope or scale of the functions that have one.
spinetail_status spinetail_activation_forward(
    const spinetail_array *output, const spinetail_array *input, int64_t function, double alpha);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
