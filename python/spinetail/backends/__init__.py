"""Settings of PyTorch's backends: they can be read and set, and there is nothing here that they change."""

from . import cpu, cuda, cudnn, mkldnn, mps

__all__ = ["cpu", "cuda", "cudnn", "mkldnn", "mps"]
