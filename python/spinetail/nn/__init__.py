"""Modules: layers, containers, losses, and the tensors they own."""

from . import functional, fused, init, utils
from .activation import *
from .attention import *
from .cache import *
from .container import *
from .convolution import *
from .dropout import *
from .embedding import *
from .linear import *
from .loss import *
from .module import Module
from .normalization import *
from .padding import *
from .parameter import Buffer, Parameter
from .pooling import *
from .position import *
from .resampling import *
from .rotary import *
from .sequential import *
from .shape import *
from .shuffle import *
from .transformer import *
