"""NumPy in, NumPy out: each family's kernels, checked and allocated for. Forward and backward stand side by side."""
