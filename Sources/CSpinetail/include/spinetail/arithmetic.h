// Arithmetic of large arrays, which one thread of NumPy would take its time for.
#ifndef SPINETAIL_ARITHMETIC_H
#define SPINETAIL_ARITHMETIC_H

#include "spinetail/array.h"
#include "spinetail/status.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

/// output = a + b: contiguous arrays of one shape, float32 or float64. The output may be a or b.
spinetail_status spinetail_add(const spinetail_array *output, const spinetail_array *a, const spinetail_array *b);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
