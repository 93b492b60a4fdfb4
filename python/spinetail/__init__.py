"""Spinetail: train, prune, quantise, distil and measure models on ordinary CPUs."""
