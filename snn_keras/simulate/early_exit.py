"""Stopping each sample once its answer is certain enough, or no longer changes."""

import dataclasses

import numpy as np
from keras import ops, tree

from snn_keras.answers import Answer, class_axis, spread_of
from snn_keras.backend import backend
from snn_keras.inputs import check_count
from snn_keras.time import Clock


def margin(outputs, before=None):
    """Largest minus second largest output of each sample, `(samples,)`."""
    top = np.partition(_classes_last(outputs), -2, axis=-1)
    return _least(top[..., -1] - top[..., -2])


def negative_entropy(outputs, before=None):
    """Minus the entropy of the outputs' softmax, in nats, `(samples,)`."""
    outputs = _classes_last(outputs)
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return _least(np.sum(np.exp(log) * log, axis=-1))


def negative_change(outputs, before=None):
    """Minus the largest change of an output since the look before, `(samples,)`."""
    if before is None:
        return np.full(len(outputs), -np.inf)
    return _least(-np.abs(outputs - before))


def _classes_last(outputs):
    return np.moveaxis(outputs, class_axis(outputs.ndim), -1)


def _least(certainty):
    """Of a sample with several answers, as a map has, that of the least certain."""
    return certainty.reshape(len(certainty), -1).min(axis=1)


CANDIDATES = 401  # thresholds that calibration tries

CRITERIA = {
    "margin": margin,
    "entropy": negative_entropy,
    "change": negative_change,
}


@dataclasses.dataclass(frozen=True)
class EarlyExit:
    """When a sample may stop: once its certainty reaches a threshold.

    A sample with several answers, such as a map of classes, stops once the least
    certain of them may.

    Attributes:
        threshold: In units of the criterion.
        criterion: `"margin"`: the two largest outputs are `threshold` apart, or more.
            `"entropy"`: minus the entropy of the softmax is `threshold` or more.
            `"change"`: no output has changed by more than `threshold` since the look
            before; also for outputs that are numbers. A network that is still silent
            does not change either: `every` must be long enough for it to wake.
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

    def certainty(self, outputs, before=None):
        """The certainty of outputs `(samples, ...)`: the more, the surer.

        Args:
            outputs: The decoded outputs.
            before: Those at the look before; None at the first.

        Returns:
            NumPy array `(samples,)`; of `"change"`, minus the change.
        """
        return CRITERIA[self.criterion](outputs, before)

    def is_certain(self, outputs, before=None):
        """Whether each sample may stop; the arguments are those of `certainty`."""
        return self.certainty(outputs, before) >= self.least

    @property
    def least(self) -> float:
        """The certainty with which a sample may stop."""
        return -self.threshold if self.criterion == "change" else self.threshold

    def steps(self, over_time):
        """The step at which each sample stops, `(samples,)`.

        Args:
            over_time: `(timesteps, samples, ...)`, as
                `SpikingModel.predict_over_time` gives them.
        """
        self.check_outputs(np.shape(over_time)[1:])
        return _first(self, self._over_time(over_time))

    def _over_time(self, over_time):
        """The certainty after each step, `(timesteps, samples)`."""
        befores = [None] * self.every + list(over_time)
        pairs = zip(over_time, befores, strict=False)
        return np.stack([self.certainty(*pair) for pair in pairs])

    def check_outputs(self, shape):
        """Raises a ValueError unless the criterion fits outputs `(samples, ...)`."""
        if self.criterion != "change" and Answer.by_shape(shape) is Answer.NUMBERS:
            raise ValueError(
                f"criterion={self.criterion!r} compares the outputs of classes. "
                f"Received outputs of shape {tuple(shape)}: one number. Remedy: "
                'EarlyExit(threshold, "change"), which stops once the number no longer '
                "changes by more than that; or two classes, with softmax outputs or "
                "logits."
            )

    @classmethod
    def calibrated(cls, over_time, labels, tolerance=0.0, criterion="entropy", every=4):
        """The rule that stops first and keeps the accuracy of the whole run.

        Its threshold is sought among quantiles of the certainties that occur. Looking
        rarely is faster, since steps between looks run together, and safer: a sample
        that has run for one step only may look certain and be wrong.

        Args:
            over_time: As for `steps`, of samples held out from training.
            labels: `(samples,)`, the right classes, or one-hot; of a map, those of
                each position; where the outputs are numbers, numbers.
            tolerance: Accuracy that may be lost, as a share of these samples; of
                numbers, what the root mean square error may grow by, as a share of
                the labels' standard deviation. Others lose somewhat more: the
                threshold is the lowest that these allow.
            criterion: See `EarlyExit`.
            every: See `EarlyExit`.

        Raises:
            ValueError: if the labels do not fit the outputs, or these the criterion.
        """
        over_time = np.asarray(over_time)
        never = -np.inf if criterion == "change" else np.inf
        rule = cls(never, criterion, every)
        rule.check_outputs(over_time.shape[1:])
        quality, samples = _Quality(over_time, labels), np.arange(over_time.shape[1])
        wanted = quality.of(np.full(len(samples), len(over_time))) - tolerance
        certainty = rule._over_time(over_time)
        known = certainty[np.isfinite(certainty)]
        if not known.size:
            return rule
        for least in np.quantile(known, np.linspace(0, 1, CANDIDATES)):
            threshold = float(-least if criterion == "change" else least)
            found = cls(threshold, criterion, every)
            if quality.of(_first(found, certainty)) >= wanted:
                return found
        return rule


def _first(rule, certainty):
    """The step at which each sample stops, from its certainty after each step."""
    looks = np.arange(1, len(certainty) + 1) % rule.every == 0
    certain = (certainty >= rule.least) & looks[:, None]
    certain[-1] = True
    return 1 + certain.argmax(axis=0)


class _Quality:
    """How good the answers are with which samples stop: the more, the better."""

    def __init__(self, over_time, labels):
        shape = over_time.shape[1:]
        self.answer = Answer.by_shape(shape)
        labels = np.asarray(labels)
        if labels.shape == shape and not _is_one_hot(labels, class_axis(labels.ndim)):
            self.answer = Answer.NUMBERS
        self.labels = self.answer.labels(labels, shape)
        self.each = np.stack([self._each(y) for y in over_time])

    def _each(self, outputs):
        """The share of right answers of each sample; of numbers, its squared error."""
        answers = self.answer.of(outputs)
        if self.answer is Answer.NUMBERS:
            return np.square(answers - self.labels).mean(axis=1)
        return (answers == self.labels).mean(axis=1)

    def of(self, steps):
        """The quality where each sample stops at its step."""
        mean = self.each[steps - 1, np.arange(len(steps))].mean()
        if self.answer is Answer.NUMBERS:
            return -np.sqrt(mean) / (spread_of(self.labels) or 1.0)
        return mean


def _is_one_hot(labels, axis):
    return bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis) == 1))


class EarlyExitRunner:
    """Runs a spiking model; samples that are certain leave the batch.

    Args:
        model: A `SpikingModel` with one output `(batch, ...)`.
        rule: An `EarlyExit`.
    """

    def __init__(self, model, rule):
        program = model.program
        program.check_has_steps()
        if not program.coding.any_time:
            raise ValueError(
                f"'{model.name}' has no answer before its last step: bit-serial "
                "neurons send the bits of one signal. Remedy: neurons that code by a "
                "rate."
            )
        if len(model.outputs) > 1:
            raise ValueError(
                "early exit looks at one output. Received a model with "
                f"{len(model.outputs)} outputs. Remedy: convert a model of one of them."
            )
        program.check_samples_apart("early exit")
        rule.check_outputs(model.outputs[0].shape)
        self._program = program
        self._rule = rule
        self._static = [x for x, stage in program.stage.items() if stage == 0]
        self._variables = model.variables
        self._by_xla = not program.without_xla
        self._begin = self._compiled(self._begin_run)
        self._advance = {}

    def __call__(self, x):
        """Runs a batch.

        Returns:
            The decoded outputs `(batch, ...)` at the step each sample stopped,
            and these steps `(batch,)`, as NumPy arrays.
        """
        last, every = self._program.coding.timesteps, self._rule.every
        carry, precomputed = self._begin(x)
        size = count = len(tree.flatten(x)[0])
        who = places = np.arange(count)  # samples going on, and where in the batch
        outputs, before, steps = None, None, np.zeros(count, "int32")
        start = 0
        while len(who):
            chunk = min(every, last - start)
            decoded, carry = self._steps(chunk)(np.int32(start), carry, precomputed)
            start += chunk
            decoded = ops.convert_to_numpy(decoded)[places]
            if outputs is None:
                outputs = np.zeros_like(decoded)
            stops = self._rule.is_certain(decoded, before) | (start == last)
            outputs[who[stops]], steps[who[stops]] = decoded[stops], start
            who, places, before = who[~stops], places[~stops], decoded[~stops]
            if 0 < len(who) <= size // 2:
                # Halved until it fits, so that few sizes are ever compiled; what
                # is left over repeats the last sample.
                wanted = _halved(size, len(who))
                keep = np.pad(places, (0, wanted - len(who)), mode="edge")
                carry = self._taken(carry, keep, size)
                size = wanted
                places = np.arange(len(who))
        return outputs, steps

    def _taken(self, carry, places, size):
        """These places of a batch of `size`, of all that has a batch axis."""
        values, state = carry
        values = [
            # None is the batch of the inputs; other axes may be as long.
            _take(v, places, size) if x.shape[:1] in ((None,), (size,)) else v
            for x, v in zip(self._static, values, strict=True)
        ]
        return values, tree.map_structure(lambda x: _take(x, places, size), state)

    def _compiled(self, function):
        return backend.compiled(function, self._variables, self._by_xla)

    def _begin_run(self, x):
        program, every = self._program, self._rule.every
        values, state = program.begin(x)
        passes = program.coding.timesteps // every
        precomputed = program.precompute(x, every, passes)
        return ([values.get(x) for x in self._static], state), precomputed

    def _steps(self, chunk):
        """The compiled run of so many steps."""
        if chunk not in self._advance:

            def advance(start, carry, precomputed):
                values, state = carry
                known = dict(zip(self._static, values, strict=True))
                clock = Clock(start, chunk, self._program.coding.timesteps)
                decoded, state = self._program.advance(
                    known, state, clock, precomputed=precomputed
                )
                outputs = self._program.finish(known, decoded)
                return tree.flatten(outputs)[0], (values, state)

            self._advance[chunk] = self._compiled(advance)
        return self._advance[chunk]


def _halved(size, needed):
    """`size` halved as often as `needed` still fits."""
    while size // 2 >= needed:
        size //= 2
    return size


def _take(x, places, size):
    """The places of a batch of `size`, where a tensor has that many."""
    has_batch = x is not None and bool(x.shape) and x.shape[0] == size
    return ops.take(x, places, axis=0) if has_batch else x
