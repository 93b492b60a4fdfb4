"""The most memory that a training step of ResNet-18 at 32×32 takes, beside PyTorch's: `python step_memory.py`.

Each library has a process of its own. What is measured is the process's resident memory: the most while steps are made,
less what it was with the network, its gradients' and optimizer's memory not yet made, and the images in place.
"""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from pathlib import Path

BATCH, STEPS = 32, 3


def resnet18(torch, classes: int = 10):
    """torchvision's ResNet-18 with the stem for small images, for where torchvision is not installed."""
    nn = torch.nn

    def conv(inputs, outputs, kernel, stride=1):
        return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            first, second = conv(inputs, outputs, 3, stride), conv(outputs, outputs, 3)
            self.branch = nn.Sequential(*first, nn.ReLU(inplace=True), *second)
            whole = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if whole else nn.Sequential(*conv(inputs, outputs, 1, stride))
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.branch(x)
            y += self.shortcut(x)
            return self.relu(y)

    layers, channels = [*conv(3, 64, 3), nn.ReLU(inplace=True)], 64
    for i in range(4):
        width = 64 << i
        layers += [Block(channels, width, 1 if i == 0 else 2), Block(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resident(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (the most so far)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def measure(library: str, layout: str) -> int:
    """In this process: bytes."""
    if library == "spinetail":
        import spinetail as torch

        model = torch.models.resnet18(num_classes=10, small_images=True)
    else:
        import torch

        model = resnet18(torch)
    x, y = torch.randn(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    if layout == "channels-last":
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = torch.nn.CrossEntropyLoss()
    small = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())
    small(x[:1]).sum().backward()  # what libraries load or start with the first step
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the most so far is what is now
    before = resident("VmRSS")
    for _ in range(STEPS):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    return resident("VmHWM") - before


def main() -> None:
    for library, layout in (("spinetail", ""), ("torch", ""), ("torch", "channels-last")):
        done = subprocess.run([sys.executable, __file__, library, layout], capture_output=True, text=True)
        found = f"{int(done.stdout) / 1e6:.0f} MB" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
        print(f"{library} {layout}".ljust(24), found)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(*sys.argv[1:]))
    else:
        main()
