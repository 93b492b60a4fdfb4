"""How the next token is chosen from a model's logits."""

from __future__ import annotations

import numpy as np

from ..autograd import Tensor, wrap
from ..functional.random import multinomial

__all__ = ["sample"]


def sample(logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """A token for each row of logits (B, V), as (B,): the likeliest at temperature 0, else drawn.

    Probabilities are softmax(logits / temperature), of the likeliest `top_k` tokens alone, and of those the fewest that
    sum to at least `top_p`. `manual_seed` repeats what is drawn.
    Raises: ValueError for a negative temperature, top_k below 1 and top_p outside of (0, 1].
    Source: Holtzman et al., The Curious Case of Neural Text Degeneration, 2020, for top_p.

    >>> import spinetail as st
    >>> from spinetail.models.sampling import sample
    >>> sample(st.tensor([[0.0, 3.0, 1.0]]), temperature=0)
    tensor([1])
    """
    if not temperature >= 0:
        raise ValueError(f"[sample] expected a temperature of 0 or more, but got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"[sample] expected top_k of 1 or more, but got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"[sample] expected top_p above 0 and up to 1, but got {top_p}")
    scores = logits.numpy().astype(np.float64)
    if temperature == 0:
        return wrap(scores.argmax(1))
    tokens = None  # of the columns, where these are not all
    if top_k is not None and top_k < scores.shape[1]:
        tokens = np.sort(np.argpartition(-scores, top_k - 1, 1)[:, :top_k], 1)
        scores = np.take_along_axis(scores, tokens, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp((scores - scores.max(1, keepdims=True)) / temperature)
    if top_p is not None:
        # Ranks decide, so that equal scores cannot let more through: the first of them is the likelier.
        order = np.argsort(-scores, 1, kind="stable")
        ranked = np.take_along_axis(powers, order, 1)
        shares = ranked / ranked.sum(1, keepdims=True)
        ranked[np.cumsum(shares, 1) - shares >= top_p] = 0
        np.put_along_axis(powers, order, ranked, 1)
    places = multinomial(wrap(powers), 1, replacement=True).numpy()
    return wrap((places if tokens is None else np.take_along_axis(tokens, places, 1))[:, 0])
