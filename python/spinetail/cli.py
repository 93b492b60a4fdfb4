"""The command `spinetail`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

DESCRIPTION = "Train, prune and measure models on ordinary CPUs, with kernels written in Swift."
EPILOG = "Set SPINETAIL_DEBUG=1 to see the whole traceback of an error."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 if all went well, 1 for an error, 2 for wrong arguments."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    chosen.words = list(sys.argv[1:] if arguments is None else arguments)
    if chosen.command is None:
        parser.print_help()
        return 2
    try:
        return int(chosen.run(chosen) or 0)
    except KeyboardInterrupt:
        print("\nspinetail: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as problem:
        if os.environ.get("SPINETAIL_DEBUG"):
            raise
        text = str(problem) or type(problem).__name__
        print(f"spinetail {chosen.command}: error: {text}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    from .version import __version__

    parser = argparse.ArgumentParser(prog="spinetail", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"spinetail {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    demo = commands.add_parser(
        "demo",
        help="train, prune and compare a network on real handwritten digits",
        description=(
            "Train a small network with convolution and attention on scikit-learn's handwritten digits (1797 scans of "
            "8×8 pixels, shipped with it), prune 90 % of its weights, remove half of its channels, compare all three, "
            "and write the report. Takes less than a minute on two cores; the same seed gives the same networks."
        ),
        epilog=EPILOG,
    )
    demo.add_argument("--out", default="report", metavar="FOLDER", help="where the report goes (default: %(default)s)")
    demo.add_argument(
        "--seed", type=_natural, default=0, metavar="N", help="seed of all random numbers (default: %(default)s)"
    )
    demo.add_argument(
        "--threads", type=_positive, metavar="N", help="threads to compute with (default: as many as there are)"
    )
    demo.add_argument("--quick", action="store_true", help="fewer epochs: a look at the way, not at the figures")
    demo.set_defaults(run=_demo)

    _add_bench(commands)

    info = commands.add_parser(
        "info",
        help="show versions, CPU level and its alternatives, threads",
        description="Show what this installation is made of: versions, CPU level and its alternatives, threads.",
    )
    info.set_defaults(run=_info)
    return parser


def _add_bench(commands: argparse._SubParsersAction) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure the kernels beside PyTorch, NumPy, onnxruntime, JAX and MLX",
        description=(
            "Measure Spinetail beside the peers that are installed: time, ratio to the best of them, share of what "
            "this machine can do, and error against float64. Each library runs in a process of its own, in turns. "
            "Writes JSON, a page in Markdown and charts."
        ),
        epilog=EPILOG,
    )
    bench.add_argument("families", nargs="*", metavar="family", help="what to measure (default: all; see --list)")
    bench.add_argument("--list", action="store_true", help="show the families and end")
    bench.add_argument(
        "--threads", type=_positive, nargs="+", default=[], metavar="N", help="thread counts (default: one, and all)"
    )
    bench.add_argument("--quick", action="store_true", help="few cases and short turns: a look, not figures to quote")
    bench.add_argument("--only", default="", metavar="TEXT", help="only the cases that have it in their name")
    bench.add_argument("--peers", metavar="NAME,…", help="peers to run beside, or 'none' (default: all that are found)")
    bench.add_argument(
        "--peer-python",
        metavar="PATH",
        help="the interpreter that has the peers (default: $SPINETAIL_PEER_PYTHON, this)",
    )
    bench.add_argument(
        "--rounds", type=_positive, metavar="N", help="turns of each library (default: 7, or 3 if quick)"
    )
    bench.add_argument(
        "--output", default="benchmarks/results", metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    bench.add_argument("--page", metavar="FILE", help="write the page here too, its charts in a folder beside it")
    bench.set_defaults(run=_bench)


def _natural(text: str) -> int:
    if not text.strip().isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, not {text!r}")
    return int(text)


def _positive(text: str) -> int:
    number = _natural(text)
    if not 1 <= number <= 256:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 256, not {text!r}")
    return number


def _demo(chosen: argparse.Namespace) -> int:
    from .demo import run

    run(chosen.out, seed=chosen.seed, threads=chosen.threads, quick=chosen.quick)
    return 0


def _bench(chosen: argparse.Namespace) -> int:
    from .benchmarks.bench import bench, listing
    from .benchmarks.run import Plan

    if chosen.list:
        print(listing())
        return 0
    peers = None
    if chosen.peers is not None:
        peers = [name for name in chosen.peers.split(",") if name not in ("", "none")]
    plan = Plan(chosen.families, chosen.threads, peers, chosen.peer_python, chosen.only, chosen.quick, chosen.rounds)
    command = " ".join(["spinetail", *chosen.words])
    return bench(plan, chosen.output, chosen.page, command)


def _info(chosen: argparse.Namespace) -> int:
    from .config import show_config

    show_config()
    return 0
