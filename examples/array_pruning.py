"""Array pruning: rank the columns of a NumPy array by importance, and keep the best. No Tensor is involved."""

import numpy as np

import spinetail as st

rng = np.random.default_rng(0)

# 1000 samples of 100 features, of which 10 decide the target; the scales of the features differ a lot.
features = rng.normal(size=(1000, 100)) * rng.uniform(0.1, 10, size=100)
useful = np.sort(rng.choice(100, 10, replace=False))
standard = (features - features.mean(axis=0)) / features.std(axis=0)
target = standard[:, useful] @ rng.uniform(1, 3, size=10) + 0.5 * rng.normal(size=1000)

# Importance of a column: its weight in a linear fit of the target on standardised features.
weights = np.linalg.lstsq(standard, target, rcond=None)[0]
importance = st.compress.prune.criteria.magnitude(weights)

# Keep the best 10 of 100: the exact number, and of equal columns the first.
(keep,) = st.compress.prune.select.smallest([importance], count=90)
pruned = features[:, keep]

print(f"before: {features.shape}, {features.nbytes:,} bytes")
print(f"after:  {pruned.shape}, {pruned.nbytes:,} bytes ({pruned.nbytes / features.nbytes - 1:+.0%})")
print(f"kept columns:   {np.flatnonzero(keep).tolist()}")
print(f"useful columns: {useful.tolist()}")
print(f"importance kept: {importance[keep].sum() / importance.sum():.1%}")


def explained(columns):
    """R² of a linear fit on these columns."""
    fit = np.linalg.lstsq(columns, target, rcond=None)[0]
    return st.evaluate.metrics.r2(columns @ fit, target)


print(f"R² with all columns {explained(standard):.4f}, with those kept {explained(standard[:, keep]):.4f}")

# Another way to rank: by the length of each column, through the channel criterion (it scores rows).
lengths = st.compress.prune.criteria.l2(features.T)
longest = np.argsort(-lengths, kind="stable")[:10]
print(f"the ten longest columns: {np.sort(longest).tolist()}")
