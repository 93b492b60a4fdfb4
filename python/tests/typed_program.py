"""A program that a type checker reads in strict mode: the public API as its users see it. `make types` checks it."""

from __future__ import annotations

import numpy as np

import spinetail as st


class Net(st.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = st.nn.Linear(4, width)
        self.out = st.nn.Linear(width, 2)

    def forward(self, x: st.Tensor) -> st.Tensor:
        result: st.Tensor = self.out(st.nn.functional.relu(self.hidden(x)))
        return result


def train(steps: int) -> float:
    st.manual_seed(0)
    st.set_num_threads(st.get_num_threads())
    model = Net(8)
    optimizer = st.optim.Adam(model.parameters(), lr=0.01)
    schedule = st.optim.lr_scheduler.StepLR(optimizer, step_size=10)
    x, y = st.randn(16, 4), st.zeros(16, dtype=st.int64)
    loss = st.tensor(0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = st.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        schedule.step()
    with st.no_grad():
        accuracy = (model(x).argmax(1) == y).float().mean()
    return float(loss.item()) + float(accuracy.item())


def arrays() -> np.ndarray:
    w = np.zeros(3)
    optimizer = st.optim.SGD([w], lr=0.1)
    optimizer.step([np.ones(3)])
    result: np.ndarray = st.nn.functional.softmax(w, dim=0)
    return result


if __name__ == "__main__":
    print(st.__version__, train(20), arrays())
    st.show_config()
