"""LeNet: the small network for images of 28×28 digits."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..autograd import Tensor

__all__ = ["LeNet"]

F: Any = nn.functional


class LeNet(nn.Module):
    """LeNet-5 as it is written today: two 5×5 convolutions with ReLU and max pooling, then 120, 84 and `num_classes`.

    Shapes: input (N, in_channels, 28, 28), or 32×32 with `padding=0` (the padding of the first convolution); output
    (N, num_classes) scores.
    State: conv1, conv2, fc1, fc2, fc3.
    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.

    >>> import spinetail as st
    >>> st.models.LeNet()(st.zeros(2, 1, 28, 28)).shape
    spinetail.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, padding: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        scores: Tensor = self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
        return scores
