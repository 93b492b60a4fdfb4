// The contract between Spinetail's kernels (Swift) and whoever calls them (Python's C module, C programs).
// Every kernel is declared once, in its family's header; Swift implements that very prototype.
#ifndef SPINETAIL_SPINETAIL_H
#define SPINETAIL_SPINETAIL_H

#include "spinetail/array.h"
#include "spinetail/status.h"
#include "spinetail/system.h"
#include "spinetail/threads.h"
#include "spinetail/simd.h"

#include "spinetail/activation.h"
#include "spinetail/arithmetic.h"
#include "spinetail/attention.h"
#include "spinetail/augmentation.h"
#include "spinetail/convolution.h"
#include "spinetail/embedding.h"
#include "spinetail/gemm.h"
#include "spinetail/loss.h"
#include "spinetail/normalization.h"
#include "spinetail/optimizer.h"
#include "spinetail/probe.h"
#include "spinetail/pruning.h"
#include "spinetail/random.h"
#include "spinetail/reduction.h"
#include "spinetail/resampling.h"
#include "spinetail/rotary.h"
#include "spinetail/pooling.h"

#endif
