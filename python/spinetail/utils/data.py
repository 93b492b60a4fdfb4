"""`spinetail.utils.data`: the names of `spinetail.data` where PyTorch has them."""

from ..data import *  # noqa: F403
from ..data import __all__ as __all__


def __getattr__(name: str) -> object:
    from .. import data

    return getattr(data, name)
