"""A NumPy-only training loop: five ways down the same small loss, on bare float64 arrays. Losses are plotted."""

import sys

import matplotlib
import numpy as np

import spinetail as st
import spinetail.nn.functional as F

matplotlib.use("Agg")
import matplotlib.pyplot as plt

rng = np.random.default_rng(0)
x = rng.normal(size=(256, 20)) * np.linspace(0.3, 3, 20)  # features of quite different scales
true = rng.normal(size=(20, 3))
labels = np.argmax(x @ true + rng.normal(size=(256, 3)), axis=1)


def loss_and_gradients(w, b, rows=slice(None)):
    """Softmax regression: the mean cross-entropy, and its gradients by hand."""
    logits = F.linear(x[rows], w, b)
    probabilities = F.softmax(logits, dim=1)
    loss = F.cross_entropy(logits, labels[rows])
    slope = probabilities.copy()
    slope[np.arange(len(slope)), labels[rows]] -= 1
    slope /= len(slope)
    return float(loss), slope.T @ x[rows], slope.sum(axis=0)


def minimise(name, optimizer_class, steps=150, batch=None, **options):
    w, b = np.zeros((3, 20)), np.zeros(3)
    optimizer = optimizer_class([w, b], **options)
    order = np.random.default_rng(1)
    history = []
    for _ in range(steps):
        rows = slice(None) if batch is None else order.choice(len(x), batch, replace=False)
        _, dw, db = loss_and_gradients(w, b, rows)
        optimizer.step([dw, db])  # updates w and b in place
        history.append(loss_and_gradients(w, b)[0])
    print(f"{name:<24} loss {history[0]:.4f} -> {history[-1]:.4f}")
    return history


def main(picture="numpy_training.png"):
    runs = {
        "gradient descent": minimise("gradient descent", st.optim.SGD, lr=0.1),
        "SGD, batches of 16": minimise("SGD, batches of 16", st.optim.SGD, lr=0.1, batch=16),
        "momentum 0.9": minimise("momentum 0.9", st.optim.SGD, lr=0.1, momentum=0.9),
        "Adam": minimise("Adam", st.optim.Adam, lr=0.1),
        "Adagrad": minimise("Adagrad", st.optim.Adagrad, lr=0.5),
        "RMSprop": minimise("RMSprop", st.optim.RMSprop, lr=0.01),
    }
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    for name, history in runs.items():
        axes.plot(range(1, len(history) + 1), history, label=name, lw=1.7)
    axes.set(xlabel="step", ylabel="loss over all samples", yscale="log", title="One loss, six ways down")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=120)
    plt.close(figure)
    print(f"plot: {picture}")
    return runs


if __name__ == "__main__":
    main(*sys.argv[1:])
