"""Measures how fast spiking networks run: ratios, taken side by side in one run.

    python -m apps.benchmark
    python -m apps.benchmark --parts=rate,peers --rounds=9

Every part runs in processes of its own. What is compared is timed in turns, round
after round, and every ratio is formed within its round; the table shows the median
and, in brackets, the smallest and the largest. The network is ResNet-18 in its form
for CIFAR on dyadic weights, where float32 is exact, so that outputs must be equal
before anything is timed. SpikingJelly is measured beside where it is installed.
"""

import contextlib
import json
import multiprocessing
import os
import pathlib
import platform
import resource
import statistics
import time

import numpy as np
from absl import app, flags, logging

# What needs Keras is imported in functions: in the process of a peer, TensorFlow and
# PyTorch would clash.
from apps import peers

FLAGS = flags.FLAGS

PARTS = (
    "rate",
    "bit_serial",
    "peers",
    "memory",
    "early_exit",
    "training",
    "precision",
    "compilers",
    "chunks",
    "convolutions",
    "neurons",
)
BATCHES = (1, 16)
STEPS = (4, 8, 32, 128)


def define_flags():
    """Flags of this program."""
    flags.DEFINE_list("parts", list(PARTS), f"Of {', '.join(PARTS)}.")
    flags.DEFINE_integer("rounds", 5, "Times that everything is timed.", lower_bound=1)
    flags.DEFINE_string(
        "metrics", None, "Figures, kept and added to; docs/performance/BACKEND.json."
    )
    flags.DEFINE_string("page", "docs/performance.md", "The page to write.")


# --- Processes -----------------------------------------------------------------------


class Worker:
    """A process of its own that makes cases and times them on demand.

    Args:
        make: Gives `{name: function}`; runs in the process.
        *arguments: Its arguments.
    """

    def __init__(self, make, *arguments):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments), daemon=True
        )
        self._process.start()
        theirs.close()
        self.cases = self._receive()

    def call(self, name):
        """Runs a case; returns the seconds it took, and what it returned."""
        self._pipe.send(name)
        return self._receive()

    def _receive(self):
        try:
            failed, answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("a process of the benchmark was killed") from None
        if failed:
            raise RuntimeError(f"a process of the benchmark failed: {answer}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.join(10)
        self._process.kill()


def _serve(pipe, make, arguments):
    try:
        cases = make(*arguments)
        pipe.send((False, list(cases)))
        while True:
            name = pipe.recv()
            started = time.perf_counter()
            answer = cases[name]()
            pipe.send((False, (time.perf_counter() - started, answer)))
    except EOFError:
        pass
    except Exception as error:
        logging.exception("a case failed")
        with contextlib.suppress(OSError):
            pipe.send((True, f"{type(error).__name__}: {error}"))


def measure(cases, rounds):
    """Times cases in turns, after one run of each that is not counted.

    Args:
        cases: `{name: (worker, case)}`.
        rounds: Times that each is timed.

    Returns:
        `{name: [seconds, ...]}`, and what each case returned at first.
    """
    answers = {name: worker.call(case)[1] for name, (worker, case) in cases.items()}
    seconds = {name: [] for name in cases}
    for i in range(rounds):
        for name, (worker, case) in cases.items():
            seconds[name].append(worker.call(case)[0])
        logging.info("round %d of %d", i + 1, rounds)
    return seconds, answers


def timed(make, times=1):
    """Measures all cases that `make` gives, `times` as often as --rounds says."""
    with Worker(make) as worker:
        cases = {name: (worker, name) for name in worker.cases}
        return measure(cases, times * FLAGS.rounds)


def ratio(above, below, scale=1.0):
    """The ratio of two cases within each round: median, smallest and largest."""
    ratios = [a / (scale * b) for a, b in zip(above, below, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
        "milliseconds": round(1e3 * statistics.median(above), 2),
    }


# --- Networks ------------------------------------------------------------------------


def dyadic_resnet18(levels=4, activation=None):
    """ResNet-18 whose weights are multiples of 1/8, and 16 images for it.

    Steps are 1/4: the neurons of 4 levels have threshold 1. About half of them
    spike.
    """
    import keras

    from snn_keras import applications, layers

    activation = activation or layers.LSQReLU(levels, initial_step=0.25)
    model = applications.resnet18(activation=activation)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            full = [np.full(count, x, "float32") for x in (1 / 8, 0, 1 - 1e-5)]
            beta = (rng.integers(0, 3, count) / 4).astype("float32")
            layer.set_weights([full[0], beta, full[1], full[2]])
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights(
                [(rng.integers(-2, 3, s) / 8).astype("float32") for s in shapes]
            )
    images = (rng.integers(-8, 9, (16, 32, 32, 3)) / 4).astype("float32")
    return model, images


def forward(model, images, batch):
    """One compiled forward pass of a source network, on what is on the device."""
    import keras

    from snn_keras import _backend

    run = _backend.compiled(lambda x: model(x, training=False), model.variables)
    x = keras.ops.convert_to_tensor(images[:batch])
    return lambda: keras.ops.convert_to_numpy(run(x))


def prediction(snn, images, batch, batches=1):
    """`predict` on so many batches, as a user calls it."""
    x = np.concatenate([images[:batch]] * batches)
    return lambda: snn.predict(x, batch_size=batch, verbose=0)


# Batches that one timing covers: `predict` has a cost of its own, once a call.
BATCHES_A_CALL = {1: 16, 16: 1}


def make_rate():
    """The source's forward pass, and the spiking network's `predict`."""
    import keras

    import snn_keras

    source, images = dyadic_resnet18()
    relu, _ = dyadic_resnet18(activation=keras.layers.ReLU())
    cases = {}
    for batch in BATCHES:
        cases[f"ANN, batch {batch}"] = forward(relu, images, batch)
    for steps in STEPS:
        snn = snn_keras.convert(source, steps)
        for batch in BATCHES:
            run = prediction(snn, images, batch, BATCHES_A_CALL[batch])
            cases[f"batch {batch}, T={steps}"] = run
    return cases


def rate():
    """Rate-coded ResNet-18 through `predict`, against T passes of its source."""
    seconds, _ = timed(make_rate)
    return {
        f"batch {batch}, T={steps}": ratio(
            seconds[f"batch {batch}, T={steps}"],
            seconds[f"ANN, batch {batch}"],
            steps * times,
        )
        for batch, times in BATCHES_A_CALL.items()
        for steps in STEPS
    }


def make_bit_serial():
    import keras

    import snn_keras

    networks = {}
    networks["ANN"], images = dyadic_resnet18(activation=keras.layers.ReLU())
    for bits in (4, 8):
        source, _ = dyadic_resnet18(2**bits - 1)
        networks[f"T={bits}"] = snn_keras.convert(source, bits, "bit_serial")
    cases = {}
    for name, network in networks.items():
        for batch in BATCHES:
            cases[f"forward, batch {batch}, {name}"] = forward(network, images, batch)
            run = prediction(network, images, batch, BATCHES_A_CALL[batch])
            cases[f"predict, batch {batch}, {name}"] = run
    return cases


def bit_serial():
    """Bit-serial ResNet-18 against its source: forward pass and `predict`, of each."""
    seconds, _ = timed(make_bit_serial, 3)
    return {
        name: ratio(taken, seconds[f"{name.rsplit(', ', 1)[0]}, ANN"])
        for name, taken in seconds.items()
        if not name.endswith("ANN")
    }


# --- Peers ---------------------------------------------------------------------------

PEER_STEPS = (4, 8, 32)


def make_ours(folder):
    """Our side; leaves weights and images for the peer."""
    import snn_keras

    source, images = dyadic_resnet18()
    weights = {x.name: x.get_weights() for x in source.layers if x.get_weights()}
    np.save(folder / "weights.npy", weights, allow_pickle=True)
    np.save(folder / "images.npy", images)
    return {
        f"batch {batch}, T={steps}": prediction(
            snn_keras.convert(source, steps), images, batch, BATCHES_A_CALL[batch]
        )
        for batch in BATCHES
        for steps in PEER_STEPS
    }


def make_peers(folder):
    weights = np.load(folder / "weights.npy", allow_pickle=True).item()
    images = np.load(folder / "images.npy")
    threads = multiprocessing.cpu_count()
    return peers.runs(weights, images, PEER_STEPS, BATCHES_A_CALL, threads)


def against_peers():
    """SpikingJelly's time on the same network, over ours; outputs equal."""
    import tempfile

    if not peers.available():
        logging.warning("SpikingJelly is not installed: pip install snn_keras[bench]")
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Worker(make_ours, folder) as ours, Worker(make_peers, folder) as theirs:
            cases = {f"ours, {case}": (ours, case) for case in ours.cases}
            cases |= {case: (theirs, case) for case in theirs.cases}
            seconds, outputs = measure(cases, FLAGS.rounds)
    for case in theirs.cases:
        ours = outputs[f"ours, {_settings(case)}"][: len(outputs[case])]
        same = np.array_equal(outputs[case], ours)
        if not same:
            raise AssertionError(f"{case}: outputs differ from ours")
    return {
        f"SpikingJelly {peers.available()} {case}": ratio(
            seconds[case], seconds[f"ours, {_settings(case)}"]
        )
        for case in theirs.cases
    }


def _settings(case):
    """The case without its form: "eager, batch 1, T=4" is "batch 1, T=4"."""
    return case.split(", ", 1)[1]


# --- Memory and compilation ----------------------------------------------------------


def peak_bytes():
    """The most memory this process has held so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def make_long(steps, batch):
    import snn_keras

    source, images = dyadic_resnet18()
    snn = snn_keras.convert(source, steps)
    run = prediction(snn, images, batch)
    held = peak_bytes()

    def peak():
        return peak_bytes() - held, peak_bytes()

    return {"first": run, "again": run, "memory": peak}


def memory():
    """T = 256 over T = 8: the first call, memory, and the time of a step."""
    figures = {}
    for batch in BATCHES:
        found = {}
        for steps in (8, 256):
            with Worker(make_long, steps, batch) as worker:
                first, _ = worker.call("first")
                again = [worker.call("again")[0] for _ in range(3)]
                _, (taken, whole) = worker.call("memory")
            found[steps] = {
                "first": first,
                "compilation": first - statistics.median(again),
                "step": statistics.median(again) / steps,
                "memory of the process": whole,
                "memory of the runs": taken,
            }
            logging.info("batch %d, T=%d: %s", batch, steps, found[steps])
        for what in found[8]:
            value = found[256][what] / found[8][what]
            figures[f"{what}, batch {batch}"] = {"ratio": round(value, 3)}
    return figures


# --- Early exit ----------------------------------------------------------------------


def make_early_exit():
    import snn_keras
    from apps import data
    from apps.evaluate import load_model

    test = data.shipped_test_images()
    images = data.preprocess(test.images)
    held_out, rest = slice(0, 5000), slice(5000, None)
    model = load_model(data.SHIPPED / "fashion_mnist_adaptor.keras")
    snn = snn_keras.convert(model, 16)
    over_time = snn.predict_over_time(images, 100, verbose=0)

    def rule(**arguments):
        return snn_keras.EarlyExit.calibrated(
            over_time[:, held_out], test.labels[held_out], **arguments
        )

    def share(outputs):
        return float(np.mean(outputs.argmax(-1) == test.labels[rest]))

    def whole():
        return share(snn.predict(images[rest], 100, verbose=0))

    usual = rule()

    def early():
        outputs, steps = snn.predict_early_exit(images[rest], usual, 100)
        return share(outputs), float(steps.mean())

    def others():
        found = {}
        for criterion in ("margin", "entropy"):
            for every in (1, 2, 4):
                steps = rule(criterion=criterion, every=every).steps(over_time[:, rest])
                outputs = over_time[:, rest][steps - 1, np.arange(5000)]
                found[f"{criterion}, every {every}"] = (
                    float(steps.mean()),
                    share(outputs),
                )
        return found

    return {"whole": whole, "early": early, "others": others}


def early_exit():
    """The network that ships, T = 16: 5,000 test images, calibrated on 5,000 others."""
    with Worker(make_early_exit) as worker:
        cases = {name: (worker, name) for name in ("whole", "early")}
        seconds, answers = measure(cases, FLAGS.rounds)
        _, others = worker.call("others")
    accuracy, steps = answers["early"]
    figures = {
        "steps, of 16": {"ratio": round(steps / 16, 3)},
        "time, of the whole run's": ratio(seconds["early"], seconds["whole"]),
        "accuracy of all steps, percent": {"ratio": round(100 * answers["whole"], 2)},
        "accuracy of early exit, percent": {"ratio": round(100 * accuracy, 2)},
    }
    for name, (steps, accuracy) in others.items():
        figures[f"steps, of 16; {name}"] = {"ratio": round(steps / 16, 3)}
        figures[f"accuracy, percent; {name}"] = {"ratio": round(100 * accuracy, 2)}
    return figures


# --- Training ------------------------------------------------------------------------


# Network, images a step, and whether XLA compiles it; None for Keras's own choice.
TRAININGS = (("resnet18", 32, True), ("resnet20", 128, None))
STEPS_A_CALL = 3


def make_training():
    import keras

    from snn_keras import applications, layers

    activations = {
        "ReLU": keras.layers.ReLU(),
        "LSQ": layers.LSQReLU(3, initial_step=0.25),
        "noise adaptor": layers.LSQReLU(
            3, layers.noise.get("adaptor"), initial_step=0.25
        ),
    }
    rng = np.random.default_rng(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    cases = {}
    for network, batch, by_xla in TRAININGS:
        x = rng.normal(size=(batch, 32, 32, 3)).astype("float32")
        y = np.arange(batch) % 10
        for name, activation in activations.items():
            keras.utils.set_random_seed(0)
            model = getattr(applications, network)(activation=activation)
            optimizer = keras.optimizers.SGD(0.01, 0.9)
            model.compile(optimizer, loss, jit_compile=by_xla or "auto")

            def run(model=model, x=x, y=y):
                for _ in range(STEPS_A_CALL):
                    model.train_on_batch(x, y)

            cases[f"{network}, batch {batch}, {name}"] = run
    return cases


def training():
    """A training step over the same step with ReLU, and images a second."""
    seconds, _ = timed(make_training)
    figures = {}
    for network, batch, _ in TRAININGS:
        start = f"{network}, batch {batch}"
        for name in ("ReLU", "LSQ", "noise adaptor"):
            taken = seconds[f"{start}, {name}"]
            if name != "ReLU":
                figures[f"{start}, {name}"] = ratio(taken, seconds[f"{start}, ReLU"])
            rate = STEPS_A_CALL * batch / statistics.median(taken)
            figures[f"images a second: {start}, {name}"] = {"ratio": round(rate)}
    return figures


# --- Chunks --------------------------------------------------------------------------


def make_chunks():
    import snn_keras

    source, images = dyadic_resnet18()
    cases = {}
    for batch in BATCHES:
        for steps in (1, 2, 4, 8, 16):
            snn = snn_keras.convert(source, 16)
            snn.chunk_steps = steps
            run = prediction(snn, images, batch, BATCHES_A_CALL[batch])
            cases[f"batch {batch}, {steps} a chunk"] = run
    return cases


def chunks():
    """T = 16 in chunks of 1, 2, 4, 8, 16 steps, over chunks of 1."""
    seconds, _ = timed(make_chunks)
    return {
        name: ratio(taken, seconds[f"{name.split(',')[0]}, 1 a chunk"])
        for name, taken in seconds.items()
    }


# --- Behind the defaults -------------------------------------------------------------


def make_compilers():
    import keras

    import snn_keras

    source, images = dyadic_resnet18()
    relu, _ = dyadic_resnet18(activation=keras.layers.ReLU())
    cases = {}
    for batch in BATCHES:
        batches = BATCHES_A_CALL[batch]
        for compiler, by_xla in (("XLA", True), ("graph", False)):
            snn = snn_keras.convert(source, 8)
            snn.jit_compile = by_xla
            cases[f"batch {batch}, {compiler}"] = prediction(
                snn, images, batch, batches
            )
            x = keras.ops.convert_to_tensor(images[:batch])
            run = whole_graph(relu, by_xla)
            cases[f"ANN, batch {batch}, {compiler}"] = (
                lambda run=run, x=x, batches=batches: (
                    [keras.ops.convert_to_numpy(run(x)) for _ in range(batches)]
                    and None
                )
            )
    return cases


def whole_graph(model, by_xla):
    """A forward pass as one TensorFlow graph, compiled by XLA or not."""
    import tensorflow as tf

    return tf.function(lambda x: model(x, training=False), jit_compile=by_xla)


def compilers():
    """T = 8 with and without XLA, against 8 passes of the source, compiled by XLA."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return None
    seconds, _ = timed(make_compilers)
    figures = {}
    for name, taken in seconds.items():
        ann = name.startswith("ANN")
        batch = "batch 16" if "batch 16" in name else "batch 1"
        below = seconds[f"ANN, {batch}, XLA"]
        figures[name] = ratio(taken, below, 1 if ann else 8)
    return figures


SIZES = ((32, 64), (16, 128), (8, 256), (4, 512))


def make_convolutions():
    import keras

    from snn_keras import _backend
    from snn_keras.neurons import winograd

    cases = {}
    rng = np.random.default_rng(0)
    for samples in (4, 64):
        for size, channels in SIZES:
            layer = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)
            x = rng.integers(0, 2, (samples, size, size, channels)).astype("float32")
            x = keras.ops.convert_to_tensor(x)
            layer.build(x.shape)
            kernel = winograd.transformed(layer.kernel.value)
            direct = _backend.compiled(layer, layer.variables)
            fewer = _backend.compiled(
                lambda x, kernel, layer=layer: winograd.convolve(layer, kernel, x), []
            )
            name = f"{samples} x {size} x {size} x {channels}"
            cases[f"direct, {name}"] = lambda f=direct, x=x: _finished(f(x))
            cases[f"Winograd, {name}"] = lambda f=fewer, x=x, kernel=kernel: _finished(
                f(x, kernel)
            )
    return cases


def _finished(y):
    """Waits for a result, without handing it over."""
    import keras

    keras.ops.convert_to_numpy(y)


def convolutions():
    """Winograd's 3x3 convolution over the direct one, kernel transformed before."""
    seconds, _ = timed(make_convolutions, 3)
    return {
        name.removeprefix("Winograd, "): ratio(
            taken, seconds[name.replace("Winograd", "direct")]
        )
        for name, taken in seconds.items()
        if name.startswith("Winograd")
    }


def make_neurons():
    import keras

    from snn_keras import _backend
    from snn_keras.neurons import IFCell, Spiking, scan

    rng = np.random.default_rng(0)
    cases = {}
    for steps in (4, 8):
        x = rng.normal(size=(16, steps, 32, 32, 64)).astype("float32")
        x = keras.ops.convert_to_tensor(x)
        for form, limit in (("unrolled", steps), ("loop", 0)):
            layer = Spiking(IFCell(1.0))
            layer.build(x.shape)
            run = _backend.compiled(layer, layer.variables)
            scan.UNROLL_LIMIT = limit
            run(x)  # compiled now
            cases[f"{form}, T={steps}"] = lambda run=run, x=x: _finished(run(x))
        relu = _backend.compiled(keras.ops.relu, [])
        cases[f"ReLU, T={steps}"] = lambda run=relu, x=x: _finished(run(x))
    return cases


def neurons():
    """A layer of 16 x 32 x 32 x 64 neurons, unrolled or as a loop, over a ReLU."""
    seconds, _ = timed(make_neurons, 3)
    return {
        name: ratio(taken, seconds[f"ReLU, {name.split(', ')[1]}"])
        for name, taken in seconds.items()
        if not name.startswith("ReLU")
    }


# --- Precision -----------------------------------------------------------------------

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def make_precision():
    import keras

    import snn_keras
    from apps import data
    from apps.evaluate import load_model

    test = data.shipped_test_images().take(2000)
    images = data.preprocess(test.images)
    cases = {}
    for policy in POLICIES:
        model = load_model(data.SHIPPED / "fashion_mnist_adaptor.keras")

        def with_policy(layer, policy=policy):
            config = {**layer.get_config(), "dtype": policy}
            return type(layer).from_config(config)

        clone = keras.models.clone_model(model, clone_function=with_policy)
        clone.set_weights(model.get_weights())
        snn = snn_keras.convert(clone, 8)

        def run(snn=snn):
            return snn.predict(images, 100, verbose=0).astype("float32")

        cases[policy] = run
    return cases


def precision():
    """The network that ships, T = 8, 2,000 images, in 16 bit over 32."""
    from apps import data

    labels = data.shipped_test_images().take(2000).labels
    seconds, outputs = timed(make_precision)
    answers = {name: y.argmax(-1) for name, y in outputs.items()}
    figures = {}
    for name in POLICIES:
        figures[f"time, {name}"] = ratio(seconds[name], seconds["float32"])
        same = float(np.mean(answers[name] == answers["float32"]))
        figures[f"same answers, {name}"] = {"ratio": round(same, 4)}
        right = float(np.mean(answers[name] == labels))
        figures[f"accuracy in percent, {name}"] = {"ratio": round(100 * right, 2)}
    return figures


# --- The page ------------------------------------------------------------------------

RUN = {
    "rate": rate,
    "bit_serial": bit_serial,
    "peers": against_peers,
    "memory": memory,
    "early_exit": early_exit,
    "training": training,
    "precision": precision,
    "compilers": compilers,
    "chunks": chunks,
    "convolutions": convolutions,
    "neurons": neurons,
}


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
        None,
        "**A run ends when it ends.** TensorFlow tunes data pipelines in a thread that "
        "sleeps for longer and longer, and at times the end of Keras's `predict` waits "
        "for it, for up to as long again as the run took. `SpikingModel.predict` feeds "
        "arrays without it.",
    ),
)
TRIED = (
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


def page(folder):
    """The text of the page, from the figures of each backend and machine."""
    files = sorted(folder.glob("*.json"), reverse=True)
    lines = [HEAD]
    for part in PARTS:
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


def machine():
    """What the figures were taken on."""
    import keras

    names = [
        line.split(":")[1].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    text = f"{len(names)} x {names[0] if names else platform.machine()}"
    if keras.backend.backend() == "jax":
        import jax

        devices = [d for d in jax.devices() if d.platform != "cpu"]
        text = ", ".join([*(d.device_kind for d in devices), text])
    return f"{text}, Keras {keras.__version__} on {keras.backend.backend()}"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    unknown = sorted(set(FLAGS.parts) - set(PARTS))
    if unknown:
        raise app.UsageError(f"--parts: {unknown} are not among {list(PARTS)}")
    from apps import data

    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    file = pathlib.Path(FLAGS.metrics or f"docs/performance/{backend}.json")
    metrics = json.loads(file.read_text()) if file.exists() else {}
    for part in FLAGS.parts:
        logging.info("%s: %s", part, RUN[part].__doc__)
        figures = RUN[part]()
        if figures is None:
            continue
        metrics[part] = {
            "what": RUN[part].__doc__,
            "machine": machine(),
            "rounds": FLAGS.rounds,
            "figures": figures,
        }
        for name, figure in figures.items():
            print(f"{part}: {name}: {figure}")
        data.write_json(file, metrics)
        data.write_text(pathlib.Path(FLAGS.page), page(file.parent))


if __name__ == "__main__":
    define_flags()
    app.run(main)
