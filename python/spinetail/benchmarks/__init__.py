"""Spinetail beside its peers: the same work, each library in a process of its own, in turns; time and error.

`spinetail bench` runs it. A family is one file in `families/` that ends in `FAMILY = Family(…)`; `case.py` says what a
case holds. Family files are also read by the interpreters of the peers, so at their top they import only NumPy, the
standard library and `..case`, `..errors` and `..programs`.
"""
