"""`spinetail.utils.data`: the names of `spinetail.data` where PyTorch has them."""

from ..data import *  # noqa: F403
from ..data import __all__ as __all__
