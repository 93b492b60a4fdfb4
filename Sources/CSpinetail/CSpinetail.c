// SwiftPM wants one source file in a C target; the contract is in the headers.
#include "spinetail/spinetail.h"
