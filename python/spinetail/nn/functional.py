"""Functions of `spinetail.nn.functional`, usually imported as `F`: each takes Tensors or arrays.

They live in `spinetail.functional`, one file for each family; their names are gathered here.
"""

from ..functional.gemm import *
