"""Early exit: stops each sample once its answer is certain, or stops changing."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops, tree

from snn_keras.answers import Answer, class_axis, spread_of
from snn_keras.backend import backend
from snn_keras.inputs import check_count
from snn_keras.time import Clock
from snn_keras.typing import Array

if TYPE_CHECKING:
    from snn_keras.simulate.model import SpikingModel


def margin(outputs: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Largest minus second largest output of each sample, `(samples,)`."""
    top = np.partition(_classes_last(outputs), -2, axis=-1)
    return _least(top[..., -1] - top[..., -2])


def negative_entropy(
    outputs: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """Minus the entropy of the outputs' softmax, in nats, `(samples,)`."""
    outputs = _classes_last(outputs)
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return _least(np.sum(np.exp(log) * log, axis=-1))


def negative_change(
    outputs: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """Minus the largest change of an output since the last check, `(samples,)`."""
    if before is None:
        return np.full(len(outputs), -np.inf)
    return _least(-np.abs(outputs - before))


def _classes_last(outputs):
    return np.moveaxis(outputs, class_axis(outputs.ndim), -1)


def _least(certainty):
    """Each sample's certainty: the least of its answers', if it has several."""
    return certainty.reshape(len(certainty), -1).min(axis=1)


CANDIDATES = 401  # number of thresholds that calibration tries

CRITERIA = {
    "margin": margin,
    "entropy": negative_entropy,
    "change": negative_change,
}


@dataclasses.dataclass(frozen=True)
class EarlyExit:
    """A rule that stops a sample once its certainty reaches a threshold.

    A sample with several answers, such as a map of classes or several outputs, stops
    once the least certain of them reaches it.

    Attributes:
        threshold: The threshold, in units of the criterion.
        criterion: `"margin"`: the two largest outputs differ by `threshold` or more.
            `"entropy"`: minus the entropy of the softmax, in nats, is `threshold` or
            more. `"change"`: no output has changed by more than `threshold` since the
            last check; also for outputs that are numbers. The outputs of a network
            do not change before its first spikes arrive, so `every` must be longer.
        every: Samples are checked after every `every` steps.
        output: Of several outputs the one that is looked at: its key in a dict, or its
            place in a list. None: all of them, with the same threshold.
    """

    threshold: float
    criterion: str = "margin"
    every: int = 1
    output: str | int | None = None

    def __post_init__(self):
        if self.criterion not in CRITERIA:
            raise ValueError(
                f"criterion must be one of {sorted(CRITERIA)}. Received: "
                f"criterion={self.criterion!r}"
            )
        check_count("every", self.every)

    def looked_at(self, outputs: Any) -> list:
        """Those of a network's outputs that decide when a sample stops.

        Args:
            outputs: Something for each output, in their structure.

        Raises:
            ValueError: if there is none that `output` names.
        """
        if self.output is None:
            return tree.flatten(outputs)
        names = []
        if isinstance(outputs, (dict, list, tuple)):
            is_dict = isinstance(outputs, dict)
            names = list(outputs if is_dict else range(len(outputs)))
        if self.output not in names:
            raise ValueError(
                f"output={self.output!r} must be one of {names}, the outputs of the "
                "network. Remedy: None, where it has one alone."
            )
        return tree.flatten(outputs[self.output])

    def certainty(self, outputs: Any, before: Any = None) -> np.ndarray:
        """The certainty of outputs `(samples, ...)`; larger is more certain.

        Args:
            outputs: The decoded outputs, in the structure of the model's.
            before: The outputs at the last check; None at the first.

        Returns:
            NumPy array `(samples,)`: the least of the outputs that are looked at; for
            `"change"`, minus the change.
        """
        of, now = CRITERIA[self.criterion], self.looked_at(outputs)
        then = [None] * len(now) if before is None else self.looked_at(before)
        return np.min([of(*pair) for pair in zip(now, then, strict=True)], axis=0)

    def is_certain(self, outputs: Any, before: Any = None) -> np.ndarray:
        """Whether each sample may stop; the arguments are those of `certainty`."""
        return self.certainty(outputs, before) >= self.least

    @property
    def least(self) -> float:
        """The least certainty with which a sample may stop."""
        return -self.threshold if self.criterion == "change" else self.threshold

    def steps(self, over_time: Any) -> np.ndarray:
        """The step at which each sample stops, `(samples,)`.

        Args:
            over_time: `(timesteps, samples, ...)`, as
                `SpikingModel.predict_over_time` gives them.
        """
        self.check_outputs(_at(over_time, 0))
        return _first(self, self._over_time(over_time))

    def _over_time(self, over_time):
        """The certainty after each step, `(timesteps, samples)`."""
        steps = len(tree.flatten(over_time)[0])
        each = [_at(over_time, t) for t in range(steps)]
        pairs = zip(each, [None] * self.every + each, strict=False)
        return np.stack([self.certainty(*pair) for pair in pairs])

    def check_outputs(self, outputs: Any) -> None:
        """Raises a ValueError unless the criterion fits outputs.

        Args:
            outputs: Arrays or symbols `(samples, ...)`, in the outputs' structure.
        """
        for shape in [tuple(y.shape) for y in self.looked_at(outputs)]:
            if self.criterion == "change" or Answer.by_shape(shape) != Answer.NUMBERS:
                continue
            raise ValueError(
                f"criterion={self.criterion!r} compares the outputs of classes. "
                f"Received outputs of shape {shape}: one number. Remedy: "
                'EarlyExit(threshold, "change"), which stops once the number no longer '
                "changes by more than that; or two classes, with softmax outputs or "
                "logits; of several outputs, EarlyExit(output=...) with one of classes."
            )

    @classmethod
    def calibrated(
        cls,
        over_time: Any,
        labels: Any,
        tolerance: float = 0.0,
        criterion: str = "entropy",
        every: int = 4,
        output: str | int | None = None,
    ) -> "EarlyExit":
        """The rule that stops earliest and keeps the accuracy of the whole run.

        Its threshold is one of the quantiles of the observed certainties. Checking
        rarely is faster, since the steps between checks run together, and safer,
        since a sample may seem certain after one step and be wrong.

        Args:
            over_time: As for `steps`, from samples held out from training.
            labels: The right classes `(samples,)`, or one-hot; for maps, one at each
                position; for outputs that are numbers, the right numbers. Of several
                outputs, these in their structure, and None for one that may get worse.
            tolerance: Accuracy that an output may lose, as a share of these samples;
                for numbers, the allowed growth of the root mean square error, as a
                share of the labels' standard deviation. Other samples lose more,
                because the threshold is the lowest that suits these.
            criterion: See `EarlyExit`.
            every: See `EarlyExit`.
            output: See `EarlyExit`.

        Raises:
            ValueError: if the labels do not fit the outputs, or the outputs do not
                fit the criterion.
        """
        never = -np.inf if criterion == "change" else np.inf
        rule = cls(never, criterion, every, output)
        rule.check_outputs(_at(over_time, 0))
        qualities = _qualities(over_time, labels)
        certainty = rule._over_time(over_time)
        whole = np.full(certainty.shape[1], len(certainty))
        least = [quality.of(whole) - tolerance for quality in qualities]
        known = certainty[np.isfinite(certainty)]
        if not known.size:
            return rule
        for tried in np.quantile(known, np.linspace(0, 1, CANDIDATES)):
            threshold = float(-tried if criterion == "change" else tried)
            found = dataclasses.replace(rule, threshold=threshold)
            steps = _first(found, certainty)
            pairs = zip(qualities, least, strict=True)
            if all(quality.of(steps) >= wanted for quality, wanted in pairs):
                return found
        return rule


def _at(over_time, t):
    """The outputs after one of the steps, in their structure."""
    return tree.map_structure(lambda y: np.asarray(y[t]), over_time)


def _qualities(over_time, labels):
    """The `_Quality` of each output that has labels."""
    pairs = []
    try:
        tree.map_structure_up_to(
            over_time, lambda *pair: pairs.append(pair), over_time, labels
        )
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            "labels must have the structure of the outputs, with None for one that has "
            f"none. Received: {_kind(labels)} for outputs that are {_kind(over_time)}"
        ) from error
    made = [_Quality(np.asarray(y), right) for y, right in pairs if right is not None]
    if not made:
        raise ValueError("labels are None for every output. Remedy: those of one.")
    return made


def _kind(structure):
    """What holds the outputs, in words."""
    if isinstance(structure, dict):
        return f"a dict of {sorted(structure)}"
    if isinstance(structure, (list, tuple)):
        return f"a {type(structure).__name__} of {len(structure)}"
    return "one array"


def _first(rule, certainty):
    """The step at which each sample stops, from its certainty after each step."""
    looks = np.arange(1, len(certainty) + 1) % rule.every == 0
    certain = (certainty >= rule.least) & looks[:, None]
    certain[-1] = True
    return 1 + certain.argmax(axis=0)


class _Quality:
    """The quality of the answers with which samples stop; larger is better."""

    def __init__(self, over_time: np.ndarray, labels: np.ndarray) -> None:
        shape = over_time.shape[1:]
        self.answer = Answer.by_shape(shape)
        labels = np.asarray(labels)
        if labels.shape == shape and not _is_one_hot(labels, class_axis(labels.ndim)):
            self.answer = Answer.NUMBERS
        self.labels = self.answer.labels(labels, shape)
        self.each = np.stack([self._each(y) for y in over_time])

    def _each(self, outputs):
        """Each sample's share of right answers; for numbers, its squared error."""
        answers = self.answer.of(outputs)
        if self.answer is Answer.NUMBERS:
            return np.square(answers - self.labels).mean(axis=1)
        return (answers == self.labels).mean(axis=1)

    def of(self, steps: np.ndarray) -> float:
        """The quality if the samples stop at these steps."""
        mean = self.each[steps - 1, np.arange(len(steps))].mean()
        if self.answer is Answer.NUMBERS:
            return -np.sqrt(mean) / (spread_of(self.labels) or 1.0)
        return mean


def _is_one_hot(labels, axis):
    return bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis) == 1))


class EarlyExitRunner:
    """Runs a spiking model; samples that are certain leave the batch.

    Args:
        model: A `SpikingModel` with outputs `(batch, ...)`.
        rule: An `EarlyExit`.
    """

    def __init__(self, model: "SpikingModel", rule: EarlyExit) -> None:
        program = model.program
        program.check_has_steps()
        if not program.coding.any_time:
            raise ValueError(
                f"'{model.name}' has no answer before its last step: bit-serial "
                "neurons send the bits of one signal. Remedy: neurons that code by a "
                "rate."
            )
        program.check_samples_apart("early exit")
        rule.check_outputs(program.graph.outputs)
        self._program = program
        self._rule = rule
        self._static = [x for x, stage in program.stage.items() if stage == 0]
        self._variables = model.variables
        self._by_xla = not program.without_xla
        self._begin = self._compiled(self._begin_run)
        self._advance = {}

    def __call__(self, x: Array) -> tuple[Any, np.ndarray]:
        """Runs a batch.

        Returns:
            The decoded outputs `(batch, ...)` at the step where each sample stopped,
            in the structure of the model's, and these steps `(batch,)`, as NumPy
            arrays.
        """
        last, every = self._program.coding.timesteps, self._rule.every
        carry, precomputed = self._begin(x)
        size = count = len(tree.flatten(x)[0])
        who = places = np.arange(count)  # running samples; their places in the batch
        outputs, before, steps = None, None, np.zeros(count, "int32")
        start = 0
        while len(who):
            chunk = min(every, last - start)
            decoded, carry = self._steps(chunk)(np.int32(start), carry, precomputed)
            start += chunk
            decoded = _taken_of(_each(decoded, ops.convert_to_numpy), places)
            if outputs is None:
                outputs = _each(decoded, np.zeros_like)
            stops = self._rule.is_certain(decoded, before) | (start == last)
            for kept, now in zip(*map(tree.flatten, (outputs, decoded)), strict=True):
                kept[who[stops]] = now[stops]
            steps[who[stops]] = start
            who, places = who[~stops], places[~stops]
            before = _taken_of(decoded, ~stops)
            if 0 < len(who) <= size // 2:
                # The batch is halved while the samples fit, so that few sizes are
                # compiled; the remaining places repeat the last sample.
                wanted = _halved(size, len(who))
                keep = np.pad(places, (0, wanted - len(who)), mode="edge")
                carry = self._taken(carry, keep, size)
                size = wanted
                places = np.arange(len(who))
        return outputs, steps

    def _taken(self, carry, places, size):
        """These places of all tensors that have a batch axis of length `size`."""
        values, state = carry
        values = [
            # The batch axis may be None; other axes may be as long by chance.
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
        """A compiled function that runs `chunk` steps."""
        if chunk not in self._advance:

            def advance(start, carry, precomputed):
                values, state = carry
                known = dict(zip(self._static, values, strict=True))
                clock = Clock(start, chunk, self._program.coding.timesteps)
                decoded, state = self._program.advance(
                    known, state, clock, precomputed=precomputed
                )
                return self._program.finish(known, decoded), (values, state)

            self._advance[chunk] = self._compiled(advance)
        return self._advance[chunk]


def _each(outputs, function):
    """A function of each output, in their structure."""
    return tree.map_structure(function, outputs)


def _taken_of(outputs, places):
    """These places of each output, in their structure."""
    return _each(outputs, lambda y: y[places])


def _halved(size, needed):
    """`size`, halved as long as it stays at least `needed`."""
    while size // 2 >= needed:
        size //= 2
    return size


def _take(x, places, size):
    """These places of a tensor whose first axis has length `size`; else the tensor."""
    has_batch = x is not None and bool(x.shape) and x.shape[0] == size
    return ops.take(x, places, axis=0) if has_batch else x
