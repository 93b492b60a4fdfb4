"""An MLP in plain PyTorch style: only the import line is changed."""

from itertools import pairwise

import spinetail as torch
import spinetail.nn as nn
import spinetail.optim as optim

torch.manual_seed(0)


class MLP(nn.Module):
    def __init__(self, width=50, depth=1):
        super().__init__()
        sizes = [100] + [width] * depth
        layers = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear(sizes[-1], 10)

    def forward(self, x):
        return self.out(self.hidden(x))


# 512 points around ten centres, one for each class
labels = torch.randint(0, 10, (512,))
centres = torch.randn(10, 100)
inputs = centres[labels] + 0.8 * torch.randn(512, 100)


def train(model, epochs=20, batch_size=64):
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(inputs))
        running = 0.0
        for i in range(0, len(inputs), batch_size):
            batch = order[i : i + batch_size]
            optimizer.zero_grad()
            outputs = model(inputs[batch])
            loss = criterion(outputs, labels[batch])
            loss.backward()
            optimizer.step()
            running += loss.item() * len(batch)
        if epoch % 5 == 4:
            print(f"  epoch {epoch + 1:2d}: loss {running / len(inputs):.4f}")


def accuracy(model):
    model.eval()
    with torch.no_grad():
        predicted = model(inputs).argmax(dim=1)
    return (predicted == labels).float().mean().item()


for width, depth in [(50, 1), (128, 1), (50, 3), (16, 2)]:
    model = MLP(width, depth)
    count = sum(p.numel() for p in model.parameters())
    print(f"width {width}, depth {depth}: {count:,} parameters")
    train(model)
    outputs = model(inputs[:32])
    print(f"  output shape {tuple(outputs.shape)}, accuracy {accuracy(model):.3f}")
