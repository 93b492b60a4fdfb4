"""One training step of Linear(100,50)-ReLU-Linear(50,10) with cross-entropy and Adam at batch 1, beside PyTorch eager.

PyTorch runs with each of its Adam implementations and thread counts that make sense; its best is the peer.
"""

from __future__ import annotations

import sys

from harness import Peer, available, interleaved, report

STEP = """
x = torch.linspace(-1, 1, 100).reshape(1, 100)
y = torch.tensor([3])
criterion = torch.nn.CrossEntropyLoss()
def make():
    model = torch.nn.Sequential(torch.nn.Linear(100, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.sin(torch.arange(parameter.numel()) * 12.9898).reshape(parameter.shape) / 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3{options})
    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return step
run = make()
def loss_after(steps):
    step = make()
    return [step().item() for _ in range(steps)][-1]
"""
SETTINGS = {"default": "", "foreach": ", foreach=True", "fused": ", fused=True"}


def main() -> None:
    contestants = {"spinetail": Peer("import spinetail as torch" + STEP.format(options=""), python=sys.executable)}
    if available("torch"):
        for name, options in SETTINGS.items():
            program = "import torch\ntorch.set_num_threads(1)" + STEP.format(options=options)
            contestants[f"torch {name}"] = Peer(program)
        version = contestants["torch default"].value("torch.__version__")
    else:
        version = "not installed: set SPINETAIL_PEER_PYTHON"
    times = interleaved(contestants, rounds=25)
    others = [time["median"] for name, time in times.items() if name != "spinetail"]
    rows = [
        {
            "who": name,
            "median µs": time["median"] * 1e6,
            "best µs": time["minimum"] * 1e6,
            "times fewer than torch's best": min(others, default=float("nan")) / time["median"],
            "loss after 20 steps": f"{contestants[name].value('loss_after(20)'):.7f}",
        }
        for name, time in times.items()
    ]
    for contestant in contestants.values():
        contestant.close()
    report("training_step", f"A training step at batch 1 (torch {version})", rows)


if __name__ == "__main__":
    main()
