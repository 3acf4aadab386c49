"""One training on several devices or machines: the same steps, shared out.

On TensorFlow, `tf.distribute.MirroredStrategy` shares every batch among the devices of
one machine. On JAX, `keras.distribution.DataParallel` does, and among machines too: one
program computes the whole batch, wherever its parts are, so that batch normalization,
noise and gradients are those of a single device.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile

import keras
from absl import logging


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Where a training runs.

    Attributes:
        replicas: Devices that share a batch.
        process, processes: Number of this process, and of all.
        strategy: The strategy of tf.distribute, or None.
    """

    replicas: int = 1
    process: int = 0
    processes: int = 1
    strategy: object = None

    @property
    def is_first(self):
        """Whether what this process writes is kept."""
        return self.process == 0

    @property
    def part(self):
        """Which part of a batch this process makes."""
        return self.process, self.processes

    def place(self, path):
        """Where this process writes what belongs at `path`: elsewhere, but for one.

        All of them write, since reading a shared variable may take all of them.
        """
        if self.is_first:
            return path
        folder = pathlib.Path(tempfile.gettempdir(), f"snn_keras_{os.getpid()}")
        folder.mkdir(exist_ok=True)
        return folder / path.name

    def scope(self):
        """The scope to make variables in."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def synchronize(self, model):
        """Lets batch normalization see the whole batch, as on a single device."""
        for layer in model.layers if self.strategy else ():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

    def meet(self):
        """Waits until all processes are here."""
        if self.processes > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices("snn_keras")

    @contextlib.contextmanager
    def together(self):
        """What all processes do together: where one fails, none waits for it."""
        try:
            yield
        except Exception as error:
            if self.processes == 1:
                raise
            logging.error(
                "process %d of %d cannot go on: %s\nRemedy: if it is another process "
                "that has gone, see its log. Give all of them the same command again: "
                "they go on after the last whole epoch.",
                self.process,
                self.processes,
                error,
            )
            logging.flush()
            os._exit(1)  # to leave in any other way is to wait for those that are gone

    def whole(self, callback):
        """`callback`, which runs models of its own: each process by itself."""
        return Undistributed(callback) if self.processes > 1 else callback


def start(replicas=1, coordinator=None, processes=1, process=0) -> Distribution:
    """Connects the processes and finds the devices.

    Args:
        replicas: Devices of this machine to use; 0 for all.
        coordinator: Address `host:port` of the first process, where there are several.
        processes, process: How many there are, and which this is.

    Raises:
        ValueError: if that is not possible here.
    """
    backend = keras.backend.backend()
    if processes > 1:
        if backend != "jax" or not coordinator:
            raise ValueError(
                "several processes take the JAX backend and an address: "
                "KERAS_BACKEND=jax, --coordinator=HOST:PORT. Received: "
                f"backend={backend!r}, --coordinator={coordinator!r}. (Keras's fit "
                "does not run under tf.distribute's MultiWorkerMirroredStrategy.)"
            )
        if not 0 <= process < processes:
            raise ValueError(
                f"--process must be from 0 to {processes - 1}. Received: {process}"
            )
        keras.distribution.initialize(coordinator, processes, process)
    elif replicas == 1:
        return Distribution()
    if backend == "tensorflow":
        return _mirrored(replicas)
    devices = keras.distribution.list_devices()
    if processes == 1:
        devices = _first(devices, replicas)
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    )
    logging.info("process %d of %d, %d devices", process, processes, len(devices))
    return Distribution(len(devices), process, processes)


def _mirrored(replicas):
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    cores = tf.config.list_physical_devices(kind)
    if kind == "CPU" and replicas > 1:  # as many devices as one asks for
        tf.config.set_logical_device_configuration(
            cores[0], [tf.config.LogicalDeviceConfiguration()] * replicas
        )
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    devices = _first(devices, replicas)
    logging.info("replicas on %s", devices)
    strategy = tf.distribute.MirroredStrategy(devices)
    return Distribution(len(devices), strategy=strategy)


def _first(devices, count):
    if count > len(devices):
        raise ValueError(
            f"--replicas={count}, and there are {len(devices)} devices: {devices}. "
            "On JAX, XLA_FLAGS=--xla_force_host_platform_device_count=N makes N of a "
            "CPU."
        )
    return devices[: count or None]


class Undistributed(keras.callbacks.Callback):
    """Runs a callback without the distribution, in every process alike."""

    def __init__(self, callback):
        super().__init__()
        self.callback = callback

    def set_model(self, model):
        super().set_model(model)
        self.callback.set_model(model)

    def on_train_begin(self, logs=None):
        self.callback.on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        with alone():
            self.callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        with alone():
            self.callback.on_epoch_end(epoch, logs)


@contextlib.contextmanager
def alone():
    """Lets a process make and run models of its own."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
