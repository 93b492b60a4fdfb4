"""The public functions: Tensors or ndarrays in, the same kind out; each with its gradient beside its value."""
