"""Compares neurons and numbers of time steps on one network, as a table and a plot.

    python -m apps.compare --model=resnet8.h5 --dataset=cifar10 --data_dir=data \\
        --raw_pixels --output=runs/resnet8

Accuracy, spikes, bits, additions, energy, memory and time of every neuron and number
of steps; which of them no other beats; and the arguments for snn_keras.convert that
make the cheapest network within --within points of the source. Interrupted, the same
command goes on where it was.

OUTPUT.json has the figures, OUTPUT.png the plot, OUTPUT.runs.json what has run.
"""

import pathlib

from absl import app, flags

import snn_keras
from snn_keras import files, neurons
from snn_keras.analysis.comparing.result import COSTS

from . import data, sources

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program; a function, so that others can import the rest."""
    sources.define_flags()
    sources.define_calibration_flags()
    flags.adopt_module_key_flags(sources)
    flags.DEFINE_list(
        "neurons", None, f"Of {', '.join(neurons.by_name)}; by default all that serve."
    )
    flags.DEFINE_list("timesteps", ["1", "2", "4", "8"], "The numbers of time steps.")
    flags.DEFINE_integer(
        "counted",
        64,
        "The first so many images for spikes and operations.",
        lower_bound=1,
    )
    flags.DEFINE_float("within", 0.5, "Points of accuracy that the choice may lose.")
    flags.DEFINE_enum("cost", "energy", COSTS, "What the choice is cheapest in.")
    flags.DEFINE_string("output", "compare", "Where figures and plot are written.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    try:
        timesteps = [int(t) for t in FLAGS.timesteps]
    except ValueError as error:
        raise app.UsageError(f"--timesteps: {error}") from error
    output = pathlib.Path(FLAGS.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    model, images, labels = sources.model_and_test_set()
    comparison = snn_keras.compare(
        model,
        images,
        labels,
        data=sources.calibration_images(model),
        neurons=FLAGS.neurons,
        timesteps=timesteps,
        calibration=FLAGS.calibration,
        samples=FLAGS.counted,
        batch_size=FLAGS.batch_size,
        path=output.with_suffix(".runs.json"),
    )
    print(comparison)
    data.write_json(output.with_suffix(".json"), comparison.as_dict())
    picture = output.with_suffix(".png")
    with files.written_whole(picture) as partial:
        comparison.plot().savefig(partial, dpi=120)
    print(f"wrote {output.with_suffix('.json')} and {picture}")
    try:
        best = comparison.best(FLAGS.within, FLAGS.cost)
    except ValueError as error:
        print(error)
        return
    given = ", ".join(f"{name}={value!r}" for name, value in best.items())
    print(
        f"within {FLAGS.within:g} points: snn_keras.convert(model, data=data, {given})"
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
