"""The page that shows the figures."""

import json

HEAD = """# How fast it runs

Made by `make bench` (`python -m apps.benchmark`). Every row is a ratio of two times
taken side by side in one run: its median and, in brackets, the least and the most of
all rounds; then the median time of what is measured. The network is ResNet-18 in its
form for CIFAR, on dyadic weights, where float32 is exact; where it is compared with
another program, their outputs were equal to the last bit before anything was timed.
"ANN" is one forward pass of the same network with ReLU, compiled by XLA, on images
that are on the device already; `predict` of the spiking network pays for everything.
`batch 1` runs 16 batches a call of `predict`, `batch 16` one.
"""

# What is said with figures is said where there are figures: the part, or None.
HOW = (
    (
        None,
        "**Chunks.** k steps are folded into the batch, so that every layer runs once "
        "for all of them; a compiled loop carries the potentials from chunk to chunk. "
        "What is compiled does not grow with T. k is as large as pays, within 128 "
        "MiB for the largest operation, and no larger than 8.",
    ),
    (
        None,
        "**What does not change is computed once a run**: everything before the first "
        "neuron, the constant part of affine maps, the transformed kernels below.",
    ),
    (
        None,
        "**3x3 convolutions take fewer multiplications**: Winograd's F(2 x 2, 3 x 3), "
        "on CPUs, where channels are many enough that moving the tiles costs less than "
        "it saves. Its constants are 0, 1, -1 and 1/2: on dyadic numbers it is exact, "
        "as the laws ask; in float32 it rounds a little otherwise than the direct sum.",
    ),
    (
        None,
        "**Bit-serial networks run in one pass** whatever T, compiled as Keras "
        "compiles their source.",
    ),
    (
        None,
        "**XLA is the default** for runs over time also on CPUs, where Keras leaves it "
        "out.",
    ),
    (
        "training",
        "**Quantizers train as one kernel each**, forward and backward, also where XLA "
        "compiles nothing else; their gradients are written out, not traced.",
    ),
    (
        None,
        "**A run ends when it ends.** TensorFlow tunes data pipelines in a thread that "
        "sleeps for longer and longer, and at times the end of Keras's `predict` waits "
        "for it, for up to as long again as the run took. `SpikingModel.predict` feeds "
        "arrays without it.",
    ),
)
TRIED = (
    (
        "training",
        "Noise from the backends' own generators: XLA copies what draws it into every "
        "kernel that needs it, forward and backward, and a step of ResNet-20 took "
        "twice as long as with ReLU. It is a hash now, cheap enough to be copied.",
    ),
    ("chunks", "Longer chunks than 8 steps: no faster, twice the memory."),
    (
        "neurons",
        "Neurons as a loop over the steps of a chunk instead of unrolled: slower.",
    ),
    (
        "convolutions",
        "Winograd where the tiles do not fit the cache (64 x 32 x 32 x 64): moving "
        "them eats what the multiplications save.",
    ),
    (
        "compilers",
        "TensorFlow without XLA: its convolutions are faster than XLA's direct ones at "
        "batch 16, but not than Winograd's under XLA.",
    ),
    ("precision", "16 bit on a CPU: convolutions are computed in 32 bit all the same."),
    (
        "early_exit",
        "Early exit that looks at every step: more steps, since a threshold that is "
        "safe after one step is too strict later. The margin in place of the entropy: "
        "no clear difference.",
    ),
    (
        "memory",
        "Winograd where a pass has few tiles (the last stage, at batch 1): the "
        "transformed kernels took more memory than all else and saved no time. Its "
        "transforms as two passes along one axis each: fewer operations to compile, "
        "and slower.",
    ),
    (
        "bit_serial",
        "Bit-serial neurons bit by bit: every bit cost five passes over memory. The "
        "level is computed at once now, exactly; as one kernel of XLA in a graph that "
        "is not XLA's it was as fast, and could not be exported to ONNX.",
    ),
)


def page(folder, parts):
    """The text of the page, from the figures of each backend and machine.

    Args:
        folder: Holds a file of figures for each.
        parts: Names of parts, in order.
    """
    files = sorted(folder.glob("*.json"), reverse=True)
    lines = [HEAD]
    for part in parts:
        for file in files:
            entry = json.loads(file.read_text()).get(part)
            if entry is None:
                continue
            lines += [
                f"## {part.replace('_', ' ').capitalize()}",
                "",
                f"{entry['what']} {entry['rounds']} rounds; {entry['machine']}.",
                "",
                "| case | ratio | ms |",
                "|---|---|---|",
            ]
            for name, figure in entry["figures"].items():
                spread = ""
                if "least" in figure:
                    spread = f" [{figure['least']:g}, {figure['most']:g}]"
                time = figure.get("milliseconds", "")
                lines.append(f"| {name} | {figure['ratio']:g}{spread} | {time} |")
            lines.append("")
    measured = set().union(*(json.loads(file.read_text()) for file in files))
    for title, notes in (("How it works", HOW), ("Tried, and no help", TRIED)):
        notes = [note for note in notes if note[0] in {None, *measured}]
        if notes:
            lines += [f"## {title}", ""]
        for part, text in notes:
            where = f" ({part.replace('_', ' ')} above)" if part else ""
            lines.append(f"* {text}{where}")
        lines.append("")
    return "\n".join(lines)
