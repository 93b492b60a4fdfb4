"""The line that shows how far an epoch is."""

from __future__ import annotations

import sys
import time
from typing import Any


class Bar:
    """A tqdm bar for an epoch where there is tqdm, else a line that is written again at most ten times a second."""

    def __init__(self, title: str, total: int | None, enabled: bool, done: int = 0) -> None:
        self.title, self.total, self.enabled, self.done = title, total, enabled, done
        self.bar: Any = None
        self.shown = 0.0
        if enabled:
            try:
                from tqdm.auto import tqdm

                self.bar = tqdm(
                    total=total, desc=title, initial=done, unit="batch", dynamic_ncols=True, file=sys.stderr
                )
            except ImportError:
                pass

    def advance(self, batches: int, values: dict[str, float]) -> None:
        """So many batches more; `values` are shown beside them."""
        self.done += batches
        now = time.monotonic()
        if not self.enabled or (now - self.shown < 0.1 and self.done != self.total):
            if self.bar is not None:
                self.bar.update(batches)
            return
        self.shown = now
        text = ", ".join(f"{name}={value:.4g}" for name, value in values.items())
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(batches)
        elif sys.stderr.isatty():
            print(f"\r\x1b[K{self.title}: {self.done}/{self.total or '?'} {text}", end="", file=sys.stderr, flush=True)

    def close(self, values: dict[str, float]) -> None:
        """The epoch is over; its values stay."""
        text = ", ".join(f"{name}={value:.4g}" for name, value in values.items())
        if self.bar is not None:
            self.bar.set_postfix_str(text)
            self.bar.close()
        elif self.enabled:
            start = "\r\x1b[K" if sys.stderr.isatty() else ""
            print(f"{start}{self.title}: {self.done}/{self.total or '?'} {text}", file=sys.stderr, flush=True)
