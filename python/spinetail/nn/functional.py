"""Functions of `spinetail.nn.functional`, usually imported as `F`: each takes Tensors or arrays.

They live in `spinetail.functional`, one file for each family; their names are gathered here.
"""

from ..functional.activation import *
from ..functional.attention import *
from ..functional.convolution import *
from ..functional.distance import *
from ..functional.dropout import *
from ..functional.embedding import *
from ..functional.encoding import *
from ..functional.gemm import *
from ..functional.grid import *
from ..functional.likelihood import *
from ..functional.loss import *
from ..functional.margin import *
from ..functional.normalization import *
from ..functional.padding import *
from ..functional.pooling import *
from ..functional.resampling import *
from ..functional.rotary import *
from ..functional.shuffle import *
from ..functional.varlen_attention import *
