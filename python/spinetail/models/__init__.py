"""Networks that are known to work."""

from __future__ import annotations

from .bert import BERT, BERTConfig
from .digits import DigitsNet
from .gpt import GPT, GPTConfig

__all__ = ["BERT", "GPT", "BERTConfig", "DigitsNet", "GPTConfig"]
