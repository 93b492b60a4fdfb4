"""A small GPT learns to write as Python's own documentation does, byte by byte.

    python text.py [steps]

The text is what the standard library's modules say about themselves: almost a million characters of docstrings that
every Python installation has. 800 steps take about two minutes on two cores.
"""

import ast
import sys
import sysconfig
from math import cos, exp, pi
from pathlib import Path

import numpy as np
from tqdm import tqdm

import spinetail as st

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 800
BATCH, LENGTH, WARMUP, RATE = 16, 128, 20, 2e-3


def docstrings() -> bytes:
    """The docstrings of the standard library, in the order of its files."""
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                if text and text.isascii():
                    found.append(text)
    return "\n\n".join(found).encode()


def batch(data: np.ndarray, random: np.random.Generator) -> tuple[st.Tensor, st.Tensor]:
    """Random stretches of the text, and the bytes that follow each of theirs."""
    places = random.integers(0, len(data) - LENGTH, BATCH)[:, None] + np.arange(LENGTH + 1)
    tokens = data[places].astype(np.int64)
    return st.from_numpy(tokens[:, :-1]), st.from_numpy(tokens[:, 1:])


@st.no_grad()
def loss_of(model: st.models.GPT, data: np.ndarray, count: int = 10) -> float:
    """The mean loss of a few stretches, the same ones each time."""
    model.eval()
    random = np.random.default_rng(1)
    found = float(np.mean([model(*batch(data, random))[1].item() for _ in range(count)]))
    model.train()
    return found


def main() -> None:
    st.manual_seed(0)
    data = np.frombuffer(docstrings(), np.uint8)
    cut = len(data) * 9 // 10
    training, held_out = data[:cut], data[cut:]
    model = st.models.GPT(vocab_size=128, block_size=LENGTH, n_layer=4, n_head=4, n_embd=128)
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(data):,} bytes of text, {count:,} parameters")
    print(f"held-out loss before: {loss_of(model, held_out):.3f}")

    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = st.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))
    schedule = st.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARMUP) * (0.55 + 0.45 * cos(pi * step / STEPS))
    )
    random = np.random.default_rng(0)
    with tqdm(range(STEPS), unit="step", disable=None) as bar:
        for step in bar:
            optimizer.zero_grad()
            _, loss = model(*batch(training, random))
            loss.backward()
            st.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % 10 == 9:
                bar.set_postfix(loss=f"{loss.item():.3f}")
            if (step + 1) % max(1, STEPS // 4) == 0:
                bar.write(f"step {step + 1}: loss {loss.item():.3f}, held-out loss {loss_of(model, held_out):.3f}")

    final = loss_of(model, held_out)
    print(f"held-out loss after: {final:.3f} nats a byte (as if choosing among {exp(final):.1f} bytes, not 128)")
    start = b"Return the "
    prompt = st.tensor([list(start)])
    print("a sample:\n" + start.decode(), end="")
    for token in model.stream(prompt, 300, temperature=0.8, top_k=20):
        print(chr(token.item()), end="", flush=True)
    print()


if __name__ == "__main__":
    main()
