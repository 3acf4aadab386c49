"""Stopping each sample once its answer is certain enough."""

import dataclasses

import numpy as np
from keras import ops, tree

from snn_keras import _backend
from snn_keras.inputs import check_count


def margin(outputs):
    """Largest minus second largest output of each sample, `(...)`."""
    top = np.partition(outputs, -2, axis=-1)
    return top[..., -1] - top[..., -2]


def negative_entropy(outputs):
    """Minus the entropy of the outputs' softmax, in nats, `(...)`."""
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.sum(np.exp(log) * log, axis=-1)


CANDIDATES = 401  # thresholds that calibration tries

CRITERIA = {"margin": margin, "entropy": negative_entropy}


@dataclasses.dataclass(frozen=True)
class EarlyExit:
    """When a sample may stop: once its certainty is `threshold` or more.

    Attributes:
        threshold: In units of the criterion.
        criterion: `"margin"` (of the two largest outputs) or `"entropy"` (minus
            that of the softmax).
        every: Samples are looked at after every so many steps.
    """

    threshold: float
    criterion: str = "margin"
    every: int = 1

    def __post_init__(self):
        if self.criterion not in CRITERIA:
            raise ValueError(
                f"criterion must be one of {sorted(CRITERIA)}. Received: "
                f"criterion={self.criterion!r}"
            )
        check_count("every", self.every)

    def certainty(self, outputs):
        """The criterion of outputs `(..., classes)`."""
        return CRITERIA[self.criterion](outputs)

    def is_certain(self, outputs):
        """Whether each sample's answer is certain, from outputs `(..., classes)`."""
        return self.certainty(outputs) >= self.threshold

    def steps(self, over_time):
        """The step at which each sample stops, `(samples,)`.

        Args:
            over_time: `(timesteps, samples, classes)`, as
                `SpikingModel.predict_over_time` gives them.
        """
        last = len(over_time)
        looks = np.arange(1, last + 1) % self.every == 0
        certain = self.is_certain(over_time) & looks[:, None]
        certain[-1] = True
        return 1 + certain.argmax(axis=0)

    @classmethod
    def calibrated(cls, over_time, labels, tolerance=0.0, criterion="entropy", every=4):
        """The lowest threshold that keeps the accuracy of the whole run.

        It is sought among quantiles of the certainties that occur. Looking rarely is
        faster, since steps between looks run together, and safer: a sample that has
        run for one step only may look certain and be wrong.

        Args:
            over_time: As for `steps`, of samples held out from training.
            labels: `(samples,)`, the right classes.
            tolerance: Accuracy that may be lost, as a share of these samples. Others
                lose somewhat more: the threshold is the lowest that these allow.
            criterion: See `EarlyExit`.
            every: See `EarlyExit`.
        """
        labels = np.asarray(labels)
        right = over_time.argmax(axis=-1) == labels
        wanted = right[-1].mean() - tolerance
        samples = np.arange(len(labels))
        certainty = cls(np.inf, criterion, every).certainty(over_time)
        for threshold in np.quantile(certainty, np.linspace(0, 1, CANDIDATES)):
            rule = cls(float(threshold), criterion, every)
            if right[rule.steps(over_time) - 1, samples].mean() >= wanted:
                return rule
        return cls(np.inf, criterion, every)


class EarlyExitRunner:
    """Runs a spiking model; samples that are certain leave the batch.

    Args:
        model: A `SpikingModel` with one output `(batch, classes)`.
        rule: An `EarlyExit`.
    """

    def __init__(self, model, rule):
        program = model.program
        program.check_has_steps()
        if program.needs_whole_run:
            raise ValueError(
                f"'{model.name}' has no answer before its last step: bit-serial "
                "neurons send the bits of one signal. Remedy: neurons that code by a "
                "rate."
            )
        if len(model.outputs) > 1:
            raise ValueError(
                "early exit looks at one output of classes. Received a model with "
                f"{len(model.outputs)} outputs."
            )
        if model.outputs[0].shape[-1] == 1:
            raise ValueError(
                "early exit compares the outputs of classes. Received a model with one "
                "output a sample. Remedy: two classes, with softmax outputs or logits."
            )
        self._program = program
        self._rule = rule
        self._static = [x for x, stage in program.stage.items() if stage == 0]
        self._variables = model.variables
        self._begin = _backend.compiled(self._begin_run, self._variables)
        self._advance = {}

    def __call__(self, x):
        """Runs a batch.

        Returns:
            The decoded outputs `(batch, classes)` at the step each sample stopped,
            and these steps `(batch,)`, as NumPy arrays.
        """
        last, every = self._program.timesteps, self._rule.every
        carry, prepared = self._begin(x)
        size = count = len(tree.flatten(x)[0])
        who = places = np.arange(count)  # samples going on, and where in the batch
        outputs, steps = None, np.zeros(count, "int32")
        start = 0
        while len(who):
            chunk = min(every, last - start)
            decoded, carry = self._steps(chunk)(np.int32(start), carry, prepared)
            start += chunk
            decoded = ops.convert_to_numpy(decoded)[places]
            if outputs is None:
                outputs = np.zeros_like(decoded)
            stops = self._rule.is_certain(decoded) | (start == last)
            outputs[who[stops]], steps[who[stops]] = decoded[stops], start
            who, places = who[~stops], places[~stops]
            if 0 < len(who) <= size // 2:
                # Halved until it fits, so that few sizes are ever compiled; what
                # is left over repeats the last sample.
                wanted = _halved(size, len(who))
                keep = np.pad(places, (0, wanted - len(who)), mode="edge")
                carry = _take(carry, keep, size)
                size = wanted
                places = np.arange(len(who))
        return outputs, steps

    def _begin_run(self, x):
        program, every = self._program, self._rule.every
        values, state = program.begin(x)
        prepared = program.prepare(x, every, program.timesteps // every)
        # As a list, since the keys are none that a compiled function takes.
        self._keys = list(prepared)
        return ([values.get(x) for x in self._static], state), list(prepared.values())

    def _steps(self, chunk):
        """The compiled run of so many steps."""
        if chunk not in self._advance:

            def advance(start, carry, prepared):
                values, state = carry
                known = dict(zip(self._static, values, strict=True))
                prepared = dict(zip(self._keys, prepared, strict=True))
                decoded, state = self._program.advance(
                    known, start, chunk, state, prepared=prepared
                )
                outputs = self._program.finish(known, decoded)
                return tree.flatten(outputs)[0], (values, state)

            self._advance[chunk] = _backend.compiled(advance, self._variables)
        return self._advance[chunk]


def _halved(size, needed):
    """`size` halved as often as `needed` still fits."""
    while size // 2 >= needed:
        size //= 2
    return size


def _take(carry, places, size):
    """The places of a batch of `size`, in all tensors that have a batch axis."""

    def take(x):
        has_batch = x is not None and bool(x.shape) and x.shape[0] == size
        return ops.take(x, places, axis=0) if has_batch else x

    return tree.map_structure(take, carry)
