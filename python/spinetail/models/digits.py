"""A small network with convolution and attention, for 8×8 images of digits."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..autograd import Tensor
from ..functional.filling import zeros

F: Any = nn.functional


class DigitsNet(nn.Module):
    """Two convolutions, one block of self-attention over the 4×4 places that are left, and a linear head.

    Shapes: input (N, 1, 8, 8), output (N, 10) scores. The convolutions' `channels`, the attention's `width` (which
    `heads` divides) and the feed-forward's `hidden` neurons can be chosen.

    >>> import spinetail as st
    >>> st.models.DigitsNet()(st.zeros(2, 1, 8, 8)).shape
    spinetail.Size([2, 10])
    """

    def __init__(
        self,
        channels: tuple[int, int] = (32, 64),
        width: int = 64,
        hidden: int = 128,
        heads: int = 4,
        classes: int = 10,
    ) -> None:
        super().__init__()
        first, second = channels
        self.conv1 = nn.Conv2d(1, first, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(first)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(second)
        self.embed = nn.Linear(second, width)
        self.position = nn.Parameter(zeros(1, 16, width))
        self.norm3 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm4 = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.head = nn.Linear(16 * width, classes)
        nn.init.normal_(self.position, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.max_pool2d(x, 2).flatten(2).transpose(1, 2)  # 16 places, each a row of channels
        x = self.embed(x) + self.position
        rows = self.norm3(x)
        x = x + self.attention(rows, rows, rows, need_weights=False)[0]
        x = x + self.down(F.gelu(self.up(self.norm4(x))))
        scores: Tensor = self.head(x.flatten(1))
        return scores
