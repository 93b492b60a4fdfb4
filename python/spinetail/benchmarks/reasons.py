"""Why rows miss their targets: what profiling found, on an Intel Xeon (Emerald Rapids) of 2 cores with AVX-512."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .rows import summary
from .targets import TARGETS, verdict

CALL = "16×16×16: 0.46 µs, of which multiply-adds at the limit take 0.05; NumPy's call 0.92, PyTorch's 1.7"
NEAR = "the matrix is read once, at 27.6 to 27.9 GB/s on one thread and 54 to 56 on two; the last cache gives 29 and 56"
ROWS_OF_C = (
    "one thread: NumPy's rows begin anywhere, so a tile meets two lines of C at a time: in C it makes 138 GFLOP/s, "
    "147 with panels fetched ahead, 152 with sums in memory of their own (as done), 165 on aligned rows"
)
FLOOR = "the multiply-adds alone leave little more, see the ratio at the limit; the peer is at 81 to 95 % of it"
COPIES = (
    "in C the tile makes 175 of 177 GFLOP/s from the second-level cache and the whole product of 1024³ 155 to 159: "
    "copying B and A and storing C take the rest; ours makes 150 to 159 on one thread, the peer 155 to 165"
)
APART = (
    "B's rows lie 8 KiB apart and share the caches' sets: in C, with blocks 512 deep, copying them costs 13 % (27.9 ms "
    "without, 32.0 with); of 57 cuts, distances and widths of the copy the best takes 28.3 ms, ours 29 to 30, MKL 27"
)
MEMORY = "one thread: the matrix comes from memory or the last cache once, at 90 to 98 % of the read rate"
SUMS = (
    "float32 makes 147 to 162 of 177 GFLOP/s and bfloat16 takes the same multiply-adds, which caps the ratio at "
    "1.1 to 1.2; widening between a tile's steps costs 2 to 5 %. The CPU's own bfloat16 product (vdpbf16ps) makes 86 "
    "with 20 independent sums, 126 at most when mixed with multiply-adds, so widening is the faster way"
)
MIDDLE = (
    "bfloat16 makes 134 to 140 of 177 GFLOP/s on one thread, float32 106 to 146, by the same multiply-adds; PyTorch's "
    "bfloat16 takes 1.9 to 2.1 times as long"
)
WEIGHTS = (
    "float32 makes 131 to 160 of 177 GFLOP/s on one thread; of bfloat16's time at 32×768×2304 84 % is the same tile, "
    "14 % widens twelve columns at a time (perf); half the bytes bring nothing where the sums are the limit"
)
EIGHT_ROWS = (
    "one thread makes 118 to 125 of 177 GFLOP/s, 157 at most: 16 instructions widen for 128 multiply-adds on the same "
    "two ports; float32 makes 73 to 86. Two threads measured alone: 1.2 to 1.7"
)
EIGHT_DOTS = (
    "one thread makes 123 of 177 GFLOP/s, 142 at most: 8 instructions widen for 32 multiply-adds on the same "
    "two ports; float32 makes 80"
)
TOGETHER = (
    "two threads: turns in which both were on one processor after their process had been stopped (200 to 430 switches "
    "in 40 ms, no page faults); else SiLU train takes 28 µs, PyTorch 66. Helpers now move away within 5 ms, "
    "and measured again SiLU is at 1.54, with its gradient at 2.19"
)
LOOKUPS = (
    "12 cycles for 16 numbers, of which the 8 look-ups take 8 (in one port); four vectors at a time: at most 2 % less. "
    "Measured again: 18.3 µs, PyTorch and NumPy 23.2"
)

READ = (
    "keys and values come from the last cache at 26.5 to 27.7 GB/s on one thread, where reads that do nothing else "
    "make 28 to 30, and PyTorch's as fast; asking for lines ahead brings those reads 1 to 3 %"
)
CAUSAL = (
    "at 2048 tokens, one thread (perf, kernels with a part left out): multiply-adds at the limit are 80 % of the time, "
    "powers of two 6 %, ends of tiles 4 %, tiles' losses to the caches 4 %, packing the queries and storing the output "
    "2 to 3 % since both are asked for ahead, the triangle's edge 2 %; blocks of 64, 96, 192 or 256 keys are no faster"
)
LLAMA = (
    "at 2048 tokens, one thread: multiply-adds at the limit are 83 % of the time, powers of two 4 %, storing the "
    "output and packing the queries 2 % each, the rest ends of tiles and losses to the caches; values copied to whole "
    "cache lines brought 1.02 to 1.045 times"
)
SHORT_HEADS = (
    "one thread: multiply-adds at the limit are 75 % of the time, powers of two 6 %; packing the queries and storing "
    "the output took 6 % each (perf), of which asking ahead for both and taking a head as one task saved 3; each of "
    "two threads reaches 73 % of the limit"
)

#: For each family, what was found for a case.
REASONS: Mapping[str, Mapping[str, str]] = {
    "gemm": {
        **dict.fromkeys(("8×8×8", "16×16×16"), CALL),
        "32×32×32": "of 0.9 µs the multiply-adds at the limit take 0.37, the call with its output 0.4",
        "64×128×10": "of 2.4 µs the call takes 0.4 and, by count, 17 loads to a step of 16 rows 1.6",
        "64×64×64": "the multiply-adds at the limit take 3.0 µs, the kernel 3.8, the call 0.4; NumPy's whole call 4.2",
        "100×100×100": "multiply-adds 11.3 µs, by count 12.9 with the lanes that 4 columns leave empty; ours 15.3",
        "128×128×128": "the tile in C takes 24.6 µs, ours 27 without the call; MKL is at 91 % of the limit",
        "64×784×128": FLOOR,
        "64×64×64×64": FLOOR + "; asking for C ahead brought 428 to 414 µs on one thread, nothing on two",
        "12×128×64×128": FLOOR + "; asking for the next operands ahead cost a tenth (165 to 181 µs)",
        **dict.fromkeys(("1024×1024×1024", "128×768×768", "128×768×2304", "128×3072×768"), COPIES),
        **dict.fromkeys((f"512×{k}×{n}" for k, n in ((768, 768), (768, 2304), (768, 3072), (3072, 768))), COPIES),
        "1024×1024×1024 float64": APART,
        "128×46×46": "3.1 of 5.0 µs are the multiply-adds at the limit, the kernel takes 4.6, the call 0.4",
        "256×16×16×16": "19 to 21 µs for 256 products: 11.9 are multiply-adds at the limit",
        "6×768×768": "one thread: B's 2.4 MB come at 29 GB/s, which is all that the last cache gives",
        "6×4096×4096": "one thread: B's 67 MB come at 20.4 GB/s, PyTorch's too; at 27.6 for a single row",
        "1024×1024×8": "A's 4.2 MB alone take 145 of 240 µs at the last cache's 29 GB/s; 8 columns are half a vector",
        "1024×4×1024": "C's 4.2 MB alone take 168 of 219 µs at the last cache's 25 GB/s for writes",
        "32×768×768": "one thread: packed panels take 259 µs, B streamed 279, MKL 251; on two threads 140, MKL 173",
        **dict.fromkeys(("512×4096×4096", "512×4096×11008", "512×11008×4096"), ROWS_OF_C),
        **dict.fromkeys(("1×768×3072", "1×4096×4096"), NEAR),
        **dict.fromkeys(("1×768×3072 cold", "1×4096×4096 cold"), MEMORY),
    },
    "half": {
        "1×768×768": "two threads: one takes 20.9 µs, so half of that and the hand-over make 13.5",
        **dict.fromkeys(("32×768×768", "32×768×3072", "32×3072×768", "32×4096×4096", "linear 64×4096×11008"), MIDDLE),
        **dict.fromkeys(
            [
                "1024×1024×1024",
                *(f"{m}×{k}×{n}" for m in (128, 512) for k, n in ((768, 768), (768, 3072), (3072, 768))),
                *(f"linear {m}×{k}×{n}" for m in (128, 512) for k, n in ((768, 2304), (4096, 4096))),
            ],
            SUMS,
        ),
        **dict.fromkeys(("linear 32×768×2304", "linear 32×4096×4096"), WEIGHTS),
        **dict.fromkeys(("8×768×768", "8×768×3072", "8×3072×768"), EIGHT_ROWS),
        "linear 8×768×2304": EIGHT_DOTS,
    },
    "activation": {
        "tanh 65,536": LOOKUPS,
        "gelu 1,048,576": "one thread: 566 µs throughout one run, 360 in others (PyTorch 418), at any distance "
        "from input to output modulo 4 KiB; two threads: 217 to 225 µs, PyTorch 217 to 309",
        **dict.fromkeys(
            (f"{name} 65,536{train}" for name in ("sigmoid", "silu") for train in ("", " train")), TOGETHER
        ),
    },
    "threads": {
        "768×768×768": "alone, ten processes: nine at 1.81 to 1.86, one at 1.60 with its fastest calls too; "
        "with huge pages 1.67 to 1.87; what makes a process slower was not found",
        "1024×1024×1024": "alone, three processes: 1.88, 1.88 and 1.64, by the fastest calls 1.92 in each; what makes "
        "a process's other calls slower was not found",
        "512×512×512": "1.88 measured alone (1701, 905 µs); two processes of one thread each take 1703, 1713",
        "2048×2048×2048": "1.93 measured alone (114.4, 59.3 ms); two processes of one thread each take 115.8, 116.4",
    },
    "attention": {
        "BERT 8×12×128×64": SHORT_HEADS,
        **dict.fromkeys((f"GPT-2 1×12×{n}×64 causal" for n in (1024, 2048, 4096)), CAUSAL),
        **dict.fromkeys((f"Llama 1×16×{n}×128 causal, 4 key heads" for n in (1024, 2048, 4096)), LLAMA),
        "one token of 512, 32 heads of 128": READ,
        "one token of 2048, 32 heads of 128": READ,
        "one token of 8192, 32 heads of 128": "268 MB come from memory at 15.1 GB/s on one thread, where reads that do "
        "nothing else make 15.5: of the last cache's 260 MiB about 134 MB are ours",
        **dict.fromkeys(
            (
                *(f"GPT-2 1×12×{n}×64 causal train" for n in (1024, 2048)),
                "Llama 1×16×1024×128 causal train, 4 key heads",
            ),
            "one thread, counted on the triangle: 136 to 144 of 178 GFLOP/s, backward alone 136 to 146; PyTorch's rate "
            "rises from 53 at 512 tokens to 75 at 1024, 96 at 2048 and 88 for Llama's heads. Of the backward pass at "
            "1024 tokens 84 % are its five products, at 93 % of the limit (perf), 4 % powers of two, 3 % storing "
            "gradients, 2 % packing queries",
        ),
    },
    "gpt": {
        "4 layers of 256, 256 long, batch 8, 4096 tokens": "one thread, each kernel timed: of 456 ms the products take "
        "368 at 140 of 177 GFLOP/s (alone, operands taking turns, 373, MKL's 372), attention 46 (alone 35), GELU 11, "
        "norms 8; AdamW, loss and sums of tensors 5 each; with products at the limit the ratio would be 1.53. Residual "
        "sums made by the products brought nothing (460 and 462 ms), rows of queries, keys and values 3 KiB apart cost "
        "nothing (2.4 to 2.6 ms forward in each layout). AMD EPYC: products 511 of 578 ms, 445 at the limit, "
        "PyTorch's 602",
    },
    "convolution": {
        "depthwise 3×3/2 96→96 112², batch 16": "one thread: 96 MB move at 11.5 to 12.5 GB/s and PyTorch's at 13.7 to "
        "15, where memory copies at 11 and one image moves at 25 from the caches; its sums take less than a tenth",
        "depthwise 3×3/2 96→96 112², batch 1": "one thread: 6 MB move at 17 GB/s in this run, at 25 in another "
        "(245 µs), of 27 that the last cache copies",
        "depthwise 3×3/2 144→144 56², batch 16": "one thread: 36 MB move at 20 GB/s, PyTorch's at 22; the last cache "
        "copies 26",
        "depthwise 3×3/2 576→576 14², batch 16": "one thread, AMD EPYC: 23 ns a plane; two rows of 7 results share a "
        "vector, moved by permutations, where PyTorch's channels-last fills all lanes and moves none",
        "depthwise 3×3 960→960 7², batch 16": "one thread, AMD EPYC: 17 ns a plane; two rows of 7 share a vector, "
        "moved by permutations, where PyTorch's channels-last fills all lanes and moves none; prepared, with channels "
        "last, 336 µs on a Xeon, PyTorch's 420",
        "7×7/2 3→64 224², batch 1": "one thread, fastest of calls in turn: ours 1.48 ms, PyTorch's channels-last 1.47, "
        "multiply-adds at the limit 1.33; rows are copied with margins, and nothing is packed for taps",
        "small 5×5 6→16 14², batch 16": "one thread, AMD EPYC: 5.8 µs an image, of which the multiply-adds take 4.6 at "
        "the limit",
        "small 3×3 16→32 8², batch 1": "one thread: 8.7 µs in some processes, 12.8 to 13.5 in others "
        "(onnxruntime 12.4), why was not found; prepared 6.4; the multiply-adds take 3.3 at the limit",
        "small 3×3 16→32 8², batch 16": "two threads: by Winograd, whose weights are transformed at every call, "
        "one takes 55 µs and two 46 to 61, why was not found; prepared 29",
        "small 3×3 1→16 8², batch 16": "one thread: 9.8 to 10.1 µs measured alone (16.2 in turns), onnxruntime 15.3",
        **dict.fromkeys(
            ("3×3/2 128→128 56², batch 1", "3×3/2 128→128 56², batch 16", "3×3/2 256→256 28², batch 16"),
            "one thread, fastest of calls in turn: 128→128 1.49 and 25.3 ms, PyTorch's channels-last 1.48 and 23.9, at "
            "the limit 1.30 and 20.8; 256→256 24.0 and 23.1. Packing the pixels takes 7 % (perf)",
        ),
        **dict.fromkeys(
            ("1×1/2 256→512 56², batch 1", "1×1/2 256→512 56², batch 16"),
            "one thread, fastest of calls in turn: 1.29 and 22.4 ms, PyTorch's channels-last 1.31 and 21.9, "
            "multiply-adds at the limit 1.16 and 18.5",
        ),
        **dict.fromkeys(
            (
                "3×3/2 64→128 32², batch 16 train",
                "3×3/2 64→128 56², batch 1 train",
                "3×3/2 64→128 56², batch 16 train",
                "3×3/2 128→256 28², batch 16 train",
            ),
            "one thread, fastest of calls in turn: 64→128 over 56², one image, forward, to input and weights 0.80, "
            "0.90 and 0.91 ms (0.65 at the limit), PyTorch's channels-last 0.76, 0.80 and 0.98. By perf the tiles "
            "run at 94 to 98 % of the limit; packing pixels takes 10 % of the forward pass, packing and summing up "
            "what taps add 20 % of the gradient to the input, gathering pixels 16 % of the weights' gradient",
        ),
        **dict.fromkeys(
            (
                *(f"1×1/2 {c}→{2 * c} {n}², batch 16 train" for c, n in ((64, 32), (64, 56), (128, 16), (128, 28))),
                *(f"1×1/2 256→512 {n}², batch 16 train" for n in (8, 14)),
            ),
            "one thread, fastest of calls in turn: 128→256 over 28² 1.68, 2.20 and 1.72 ms (1.16 at the limit), "
            "PyTorch's channels-last 1.61, 1.84 and 1.49: with channels first every second number of a row is used, so "
            "twice the lines are read and, for the gradient to the input, written twice, once as zeros",
        ),
    },
    "pooling": {
        "nearest 56×56 to 112×112, 64 channels, batch 16, forward": "two threads: 64 MB move at 26 GB/s in this run, "
        "at 31 to 35 alone (1.85 to 2.08 ms), PyTorch's at 33; memory copies 21, the last cache 53",
    },
    "network": {
        "ResNet-50, one image of 224×224": "one thread, AMD EPYC, each layer alone: convolutions take 65 to 68 ms, "
        "onnxruntime's 86; the whole took 68 to 76 ms in quiet runs (onnxruntime 76 to 82) and 80 to 86 in others; the "
        "first convolution takes 2.9 and max pooling 0.55, onnxruntime's 2.4 and 0.21",
    },
    "softmax": {
        "softmax 6144×512 cold": "it reads and writes memory once, at 98 % of its rate; so does onnxruntime",
    },
    "normalization": {
        "group_norm 32×64×56×56": "67 % of the time is the sweep that writes the output (perf); "
        "fetching the output during the moments brought 0.91 to 1.15 on one thread, nothing on two",
    },
    "training_step": {
        "MLP 100-50-10, batch 1": "12.2 to 14.0 in quiet runs; of 21.0 µs the optimizer takes 6.9, backward 5.5, "
        "the layers 4.6, the loss 3.2, zero_grad 0.8",
        "MLP 784-512-10, batch 64": "perf: 67 % are the two large products (1.03·10⁸ operations, 581 of 1110 µs at the "
        "limit), 25 % Adam, whose 11 MB pass at 38 GB/s (the last cache copies 27), 5 % all else",
    },
}

UNKNOWN = "not profiled"


def misses(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cases of groups that miss a target, where the case itself is below it: ratios by thread count, and why.

    "at the limit" is the ratio at the machine's measured limit: where that is below the target, none can meet it.
    """
    rows = [row for result in results.values() for row in result["rows"]]
    below: dict[tuple[str, int], float] = {}
    for line in summary(rows):
        if verdict(line).startswith("missed"):
            target = TARGETS[line["group"]]
            low = line["geomean"] < target.geomean
            below[line["group"], line["threads"]] = target.geomean if low else target.worst or 0.0
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for family, result in results.items():
        for row in result["rows"]:
            if row["ratio"] and row["ratio"] < below.get((row["group"], row["threads"]), 0.0):
                reason = REASONS.get(family, {}).get(row["case"], UNKNOWN)
                one = found.setdefault(
                    (family, row["case"]), {"family": family, "case": row["case"], "reason": reason, "ratios": {}}
                )
                one["ratios"][row["threads"]] = row["ratio"], row["ratio"] / row["limit"] if row["limit"] else None
    return sorted(found.values(), key=lambda one: list(results).index(one["family"]))


def explained(one: Mapping[str, Any]) -> Sequence[str]:
    """A miss as the cells of a table: case, threads, ratio, ratio at the limit, reason."""
    ratios = one["ratios"]
    tops = [top for _, top in ratios.values()]
    return [
        f"{one['family']}: {one['case']}",
        ", ".join(map(str, ratios)),
        ", ".join(f"{ratio:.2f}" for ratio, _ in ratios.values()),
        ", ".join("–" if top is None else f"{top:.2f}" for top in tops),
        one["reason"],
    ]
