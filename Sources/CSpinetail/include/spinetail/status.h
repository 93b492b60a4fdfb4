// What a kernel returns. The low 8 bits say what is wrong, the next 8 which argument (1-based, 0: none in particular).
#ifndef SPINETAIL_STATUS_H
#define SPINETAIL_STATUS_H

#include <stdint.h>

typedef int32_t spinetail_status;

enum {
    SPINETAIL_OK = 0,
    SPINETAIL_BAD_DTYPE = 1,
    SPINETAIL_BAD_RANK = 2,
    SPINETAIL_BAD_SHAPE = 3,
    SPINETAIL_BAD_LAYOUT = 4,     // a stride pattern that this kernel does not take
    SPINETAIL_BAD_PARAMETER = 5,  // a number outside its range
    SPINETAIL_BAD_INDEX = 6,      // an index or label outside its range
    SPINETAIL_NO_MEMORY = 7,      // scratch could not be allocated; outputs are unspecified
    SPINETAIL_INTERRUPTED = 8,    // the interrupt check asked to stop; outputs are unspecified
};

#endif
