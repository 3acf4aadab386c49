"""Networks around a case of the catalog: before, between and behind the neurons."""

import keras
import numpy as np
from keras import layers, ops, tree

from snn_keras.layers import LSQReLU

from .case import Case

LEVELS, STEP = 4, 0.5
BATCH = 3
POSITIONS = ("before", "between", "behind")
FORMS = ("alone", "nested", "shared", "time_distributed", "composed")
AROUND = "around_"
WORDS = ("a", "b", "d")


def positions_of(case: Case) -> tuple:
    """Where a case may stand: neurons send numbers, and no words."""
    return POSITIONS[:1] if case.dtype == "string" else POSITIONS


def forms_of(case: Case) -> tuple:
    """The forms in which a case may stand."""
    possible = {
        "shared": len(set(case.shapes)) == 1,
        "time_distributed": len(case.shapes) == 1 and _is_of_samples(case),
        "composed": _can_be_composed(case),
    }
    return tuple(form for form in FORMS if possible.get(form, True))


def _is_of_samples(case):
    """Whether what a case of one signal makes has an axis of samples."""
    x = keras.Input(case.shapes[0], dtype=case.dtype)
    try:
        outputs = tree.flatten(case.apply(x))
    except Exception:  # of whatever class: Keras has no network with it
        return True
    return all(y.shape and y.shape[0] is None for y in outputs)


def _can_be_composed(case):
    """Whether Keras can call a layer that is composed of a case on symbols."""
    inputs = [keras.Input(shape, dtype=case.dtype) for shape in case.shapes]
    try:
        _composed(case, inputs)
    except Exception:  # of whatever class Keras and its backends raise
        return False
    return True


def network(case: Case, position: str, form: str = "alone") -> keras.Model:
    """A source network with the case at a place among its neurons.

    Args:
        case: The case.
        position: `"before"` the first neuron, `"between"` two layers of neurons or
            `"behind"` the last.
        form: How it stands there: `"alone"`; in a `"nested"` model; in a `"shared"`
            one that is called twice; in a model inside `"time_distributed"`; in a layer
            that is `"composed"` of it and a weight.

    Raises:
        Exception: whatever Keras raises where it has no such network.
    """
    before = position == "before"
    extra = (2,) if form == "time_distributed" else ()
    dtype = case.dtype if before and case.dtype else None
    inputs = [keras.Input((*extra, *shape), dtype=dtype) for shape in case.shapes]
    signals = inputs if before else [_spikes(x) for x in inputs]
    outputs = _FORMS[form](case, signals)
    if position != "behind":
        last = signals[-1] if not before or dtype is None else None
        outputs = _around(layers.Dense, 2)(_spikes(_vector(outputs, last)))
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)


def _spikes(x):
    """`x` through a dense layer and neurons, in its own shape."""
    current = _around(layers.Dense, x.shape[-1])(x)
    return _around(LSQReLU, LEVELS, initial_step=STEP)(current)


def _around(kind, *args, **kwargs):
    """A layer around the case, whose name begins with `AROUND`."""
    config = kind(*args, **kwargs).get_config()
    return kind.from_config({**config, "name": AROUND + config["name"]})


def _alone(case, signals):
    return case.apply(*_cast(case, signals))


def _model(case, signals):
    """A model of the case, for signals like these."""
    inner = [keras.Input(x.shape[1:], dtype=x.dtype) for x in signals]
    return keras.Model(inner, _alone(case, inner))


def _nested(case, signals):
    return _model(case, signals)(signals)


def _shared(case, signals):
    model = _model(case, signals)
    return [model(signals), model(signals[::-1])]


def _composed(case, signals):
    return Composed(_model(case, signals))(signals)


def _time_distributed(case, signals):
    (x,) = signals
    inner = keras.Input(x.shape[2:], dtype=x.dtype)
    outputs = _alone(case, [inner])
    if len(tree.flatten(outputs)) > 1:
        outputs = _vector(outputs, None)
    return layers.TimeDistributed(keras.Model(inner, outputs))(x)


_FORMS = {
    "alone": _alone,
    "nested": _nested,
    "shared": _shared,
    "time_distributed": _time_distributed,
    "composed": _composed,
}


@keras.saving.register_keras_serializable("snn_keras_apps")
class Composed(layers.Layer):
    """A layer that is composed of a model and a weight, by which it multiplies.

    Args:
        model: A model of a list of tensors.
    """

    def __init__(self, model: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.model = model

    def build(self, shapes):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs, training=None):
        outputs = self.model(inputs, training=training)
        return tree.map_structure(self._scaled, outputs)

    def _scaled(self, y):
        return y * ops.cast(self.scale, y.dtype) if "float" in str(y.dtype) else y

    def get_config(self):
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config):
        model = keras.saving.deserialize_keras_object(config.pop("model"))
        return cls(model, **config)


def _cast(case, signals):
    """The signals in the dtype that the case takes."""
    return [
        x if case.dtype is None or x.dtype == case.dtype else ops.cast(x, case.dtype)
        for x in signals
    ]


def _vector(outputs, signal):
    """All outputs in one vector a sample, as numbers; `signal` has one, too."""
    parts = []
    for y in map(number, tree.flatten(outputs)):
        alone = len(y.shape) == 0 or y.shape[0] is not None or None in y.shape[1:]
        if alone and signal is not None:
            y = _around(layers.Flatten)(signal) + ops.sum(y)
        parts.append(_around(layers.Flatten)(y))
    return parts[0] if len(parts) == 1 else _around(layers.Concatenate)(parts)


def number(y):
    """Real floating-point numbers that say what `y` says."""
    if "complex" in y.dtype:
        return ops.real(y) + 2 * ops.imag(y)
    return y if "float" in y.dtype else ops.cast(y, keras.config.floatx())


def draw_weights(model, rng, dyadic: bool) -> None:
    """Sets the float weights of a model at random: multiples of 1/8, or normal ones."""
    for weight in model.weights:
        if "float" not in str(weight.dtype) or weight.path.endswith("/step"):
            continue
        drawn = draw(weight.shape, str(weight.dtype), rng, dyadic)
        weight.assign(np.abs(drawn) + 0.5 if "variance" in weight.path else drawn)


def draw_inputs(model, rng, dyadic: bool) -> list:
    """A batch of inputs for a model."""
    return [draw((BATCH, *x.shape[1:]), x.dtype, rng, dyadic) for x in model.inputs]


def draw(shape, dtype, rng, dyadic: bool):
    """Random numbers of a type, multiples of 1/8 or normal ones; or words."""
    if dtype == "string":
        return rng.choice(WORDS, shape)
    if "int" in dtype:
        return rng.integers(0, 3, shape).astype(dtype)
    if dyadic:
        return (rng.integers(-8, 9, shape) / 8).astype(dtype)
    return rng.normal(0, 1, shape).astype(dtype)
