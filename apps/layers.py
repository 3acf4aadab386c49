"""What becomes of every layer, activation and operation of Keras: a table.

    python -m apps.layers
    python -m apps.layers --names=layers.Dense,ops.mean

Each stands in small networks, with the arguments of `apps.catalog`: before the first
neuron, between neurons and behind the last. The plan of each says what becomes of it.
Writes a page.
"""

import pathlib
import re

from absl import app, flags, logging

from . import data

FLAGS = flags.FLAGS

TITLES = {
    "layers": "Layers",
    "activations": "Activations",
    "ops": "Operations",
}
# What is told of several steps: the first of these that is among them.
_TELLING = (
    *("temporal difference", "neurons", "every step", "dropped"),
    *("once, decoded", "once"),
)

# What the page says of layers that Keras does not have.
OWN = [
    "",
    "## Layers of your own",
    "",
    "A layer whose `call` is made of layers and `keras.ops` is laid open: its parts"
    " are converted like any others, under its name and theirs (`block_dense`), and"
    " layers inside those are laid open, too; so are subclassed models that have "
    "been called. All uses of a layer share its weights, in training too. So "
    "transformers convert: attention, layer normalization, embeddings, class tokens"
    " and masks that enter as inputs or are constants. The length of a sequence "
    "must be known: `keras.Input((128,))`.",
    "",
    "A layer stays one operation if its `call` cannot be traced with KerasTensors, "
    "changes a variable or an attribute, draws random numbers, adds losses, "
    "computes otherwise in training, takes or hands on a mask of Keras's, or reads "
    "one weight in several places; also if it has an `activity_regularizer`, or if "
    "its parts, tried on random inputs, give other numbers. Between neurons it is "
    "then refused by its name, with the reason. `snn_keras.rule` registers a rule "
    "for it; a rule always comes first.",
]


def define_flags():
    """Flags of this program."""
    flags.DEFINE_list("names", None, "Public names; all where none are given.")
    flags.DEFINE_string("page", "docs/layers.md", "The table to write.")


def outcome(case, position) -> list:
    """What becomes of a case at a place: `[form, reason]`, the reason of a refusal.

    `["", ""]` where Keras has no such network.
    """
    import keras

    import snn_keras

    from .catalog import networks

    keras.utils.clear_session(free_memory=False)
    if position not in networks.positions_of(case):
        return ["", ""]
    try:
        model = networks.network(case, position)
    except Exception:  # of whatever class Keras and its backends raise
        return ["", ""]
    bits = networks.LEVELS.bit_length()
    try:
        plan = snn_keras.plan(model, bits, "bit_serial", fused=False)
    except snn_keras.ConversionError as error:
        why = reason(str(error))
        is_relu = why.startswith("a plain ReLU")
        return ["neurons", ""] if is_relu else ["refused", why]
    forms = {
        str(step.form) for step in plan.steps if networks.AROUND not in step.node.name
    }
    return [next((form for form in _TELLING if form in forms), "dropped"), ""]


def reason(message):
    """The reason that the message of a ConversionError gives first."""
    (first,) = re.findall(r"^  '.*?' \(.*?\): (.*)", message, re.MULTILINE)[:1]
    return first.split(" Remedy:")[0].split(": ")[0].rstrip(".")


def cell(found):
    """What a table says of a name's cases at a place."""
    by_form = {}
    for arguments, (form, _) in found:
        if form:
            by_form.setdefault(form, {})[arguments] = None
    if not by_form:
        return "-"
    usual = max(by_form, key=lambda form: len(by_form[form]))
    others = [
        f"{form} with " + ", ".join(f"`{words}`" for words in arguments)
        for form, arguments in by_form.items()
        if form != usual
    ]
    return "; ".join([usual, *others])


def page(outcomes):
    """The text of the page, of `{name: {place: [(arguments, outcome), ...]}}`."""
    import keras

    lines = [
        "# Every layer, activation and operation of Keras",
        "",
        "Made by `python -m apps.layers`. Each public name of Keras "
        f"{keras.__version__} that takes a tensor, in small networks: before the first "
        "neuron, between two layers of neurons, behind the last. What becomes of it:",
        "",
        "* **once**: it is computed once, before time begins, as in the source.",
        "* **every step**: it is linear, but for a constant, and acts on the spikes "
        "of every step.",
        "* **temporal difference**: it is computed of the signal so far, and what "
        "changed is sent; exact in total, but numbers, not spikes.",
        "* **neurons**: it is a ReLU, and becomes a layer of neurons once "
        "`quantize_activations` has given it levels.",
        "* **dropped**: in inference it does nothing.",
        "* **once, decoded**: it is computed once, of what the neurons sent in total.",
        "* **refused**: `snn_keras.plan` and `convert` say so, with the reason and a "
        "remedy.",
        "* **-**: Keras itself has no such network.",
        "",
        "Where arguments matter, those that lead elsewhere stand behind what is usual. "
        "A bit-serial network that runs in one pass has no time: it computes all as "
        "its source does, and only a ReLU without levels is refused. "
        "`tests/test_sweep.py` checks of each network that it equals its source.",
    ]
    lines += OWN
    for group, title in TITLES.items():
        lines += ["", f"## {title}", ""]
        lines += ["| name | before | between | behind | refused because |"]
        lines += ["|" + "---|" * 5]
        for name, places in sorted(outcomes.items()):
            if name.split(".")[0] == group:
                lines.append(row(name.removeprefix(f"{group}."), places))
    return "\n".join([*lines, ""])


def row(name, places):
    """A line of the table."""
    reasons = dict.fromkeys(
        why for found in places.values() for _, (_, why) in found if why
    )
    cells = [cell(found) for found in places.values()]
    return "| " + " | ".join([f"`{name}`", *cells, "; ".join(reasons)]) + " |"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")

    from .catalog import CASES, networks

    known = dict.fromkeys(case.name for case in CASES)
    unknown = sorted(set(FLAGS.names or ()) - set(known))
    if unknown:
        raise app.UsageError(f"--names: {unknown} are not in the catalog.")
    outcomes = {}
    for name in FLAGS.names or known:
        cases = [case for case in CASES if case.name == name]
        outcomes[name] = {
            place: [(case.arguments, outcome(case, place)) for case in cases]
            for place in networks.POSITIONS
        }
        logging.info("%s", name)
    data.write_text(pathlib.Path(FLAGS.page), page(outcomes))


if __name__ == "__main__":
    define_flags()
    app.run(main)
