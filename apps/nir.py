"""Writes a spiking network as a NIR file, and has it read again.

    python -m apps.nir --model=saved_models/fashion_mnist_adaptor.keras \\
        --dataset=fashion_mnist --timesteps=8 --output=fashion_mnist.nir

Prints what the file cannot say, and how many spikes differ where our own reader runs
it; and where SpikingJelly does, if it is installed with nirtorch: as it loads the file,
and with what the file cannot say put right, one thing after the other.
"""

import pathlib

import numpy as np
from absl import app, flags

# What needs Keras is imported in functions: in the process of SpikingJelly, TensorFlow
# and PyTorch would clash.
from . import peers

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program; a function, so that others can import the rest."""
    from . import sources

    sources.define_flags(samples=1000)
    sources.define_calibration_flags()
    flags.adopt_module_key_flags(sources)
    flags.DEFINE_string("output", None, "The file to write.")
    flags.DEFINE_bool("overwrite", False, "Replace the file if it is there.")
    flags.DEFINE_bool(
        "unit_thresholds", False, "Fold thresholds into the weights before them."
    )
    flags.DEFINE_integer("timesteps", 8, "Time steps of a run.", lower_bound=1)
    flags.mark_flag_as_required("output")


def spikes_and_outputs(snn, images):
    """Whether each neuron fired, `{layer: (batch, time, ...)}`, and the outputs."""
    import keras

    from snn_keras.time import Spiking

    layers = {x.name: x.output for x in snn.layers if isinstance(x, Spiking)}
    watched = keras.Model(snn.input, {"spikes": layers, "outputs": snn.output})
    sent = watched.predict(images, batch_size=50, verbose=0)
    return {k: v != 0 for k, v in sent["spikes"].items()}, sent["outputs"]


def compare(reader, spikes, outputs, expected, answers, labels):
    """Prints where a reader's run differs from ours."""
    wrong = sum(int(np.sum(spikes[name] != z)) for name, z in expected.items())
    total = sum(z.size for z in expected.values())
    received = outputs.argmax(-1)
    print(
        f"{reader}: {wrong} of {total} spikes differ ({wrong / total:.2%}), "
        f"{np.mean(received == answers):.2%} same answer, accuracy "
        f"{np.mean(received == labels):.2%}",
        flush=True,
    )


def make_spikingjelly(path, images, timesteps):
    """Runs the file in SpikingJelly; cases for a `Worker`."""
    first = np.moveaxis(images, -1, 1)
    return {
        name: lambda settings=settings: peers.run_nir(
            path, first, timesteps, **settings
        )
        for name, settings in peers.NIR_REPAIRS.items()
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    import snn_keras
    from snn_keras import export

    from . import sources
    from .benchmarks.measuring import Worker

    model, images, labels = sources.model_and_test_set()
    snn = snn_keras.convert(
        model,
        FLAGS.timesteps,
        "if",
        data=sources.calibration_images(model),
        calibration=FLAGS.calibration,
    )
    path = pathlib.Path(FLAGS.output).absolute()
    losses = export.to_nir(
        snn, path, unit_thresholds=FLAGS.unit_thresholds, overwrite=FLAGS.overwrite
    )
    print("what the file cannot say:", *losses, sep="\n  ")
    expected, outputs = spikes_and_outputs(snn, images)
    answers = outputs.argmax(-1)
    print(f"{len(images)} test images, T = {FLAGS.timesteps}")
    accuracy = np.mean(answers == labels)
    print(f"the network itself: accuracy {accuracy:.2%}", flush=True)
    found = spikes_and_outputs(export.from_nir(path), images)
    compare("from_nir", *found, expected, answers, labels)
    if not peers.reads_nir():
        print("SpikingJelly: not installed (pip install spikingjelly nirtorch)")
        return
    with Worker(make_spikingjelly, path, images, FLAGS.timesteps) as worker:
        for case in worker.cases:
            _, found = worker.call(case)
            compare(f"SpikingJelly, {case}", *found, expected, answers, labels)


if __name__ == "__main__":
    define_flags()
    app.run(main)
