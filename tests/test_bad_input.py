"""What cannot be done is refused: early, by name, with a remedy, and all at once."""

import inspect
import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import ConversionError, neurons
from snn_keras.layers import QCFS, LSQReLU, NoisySpike
from snn_keras.neurons import IFCell, SpikingCell
from snn_keras.time import Spiking
from tests.users import closed

CELLS = sorted(
    (
        cell
        for _, cell in inspect.getmembers(neurons, inspect.isclass)
        if issubclass(cell, SpikingCell) and cell is not SpikingCell
    ),
    key=lambda cell: cell.__name__,
)
NOT_TIMESTEPS = pytest.mark.parametrize("timesteps", [0, -1, 2.5, None, True, "4"])
BAD_SIZES = pytest.mark.parametrize("value", [np.nan, 0.0, -1.0, np.inf])
CONVERTING = pytest.mark.parametrize(
    "convert", [snn_keras.convert, snn_keras.plan], ids=["convert", "plan"]
)


def says(*parts):
    """A pattern for a message that holds all of `parts`, literally."""
    return "(?s)" + "".join(f"(?=.*{re.escape(part)})" for part in parts)


def source(between=lambda x: x, act="act1"):
    """A convertible network, but for what is put between its two activations."""
    inputs = keras.Input((4,), name="x")
    x = LSQReLU(2, initial_step=0.5, name=act)(layers.Dense(4, name="dense1")(inputs))
    x = layers.Dense(4, name="dense2")(between(x))
    x = QCFS(2, initial_threshold=1.0, name="act2")(x)
    return keras.Model(inputs, layers.Dense(2, name="dense3")(x), name="net")


def relu_source(relu=None):
    relu = relu or layers.ReLU(name="relu")
    inputs = keras.Input((4,), name="x")
    x = relu(layers.Dense(4, name="dense1")(inputs))
    return keras.Model(inputs, layers.Dense(2, name="dense2")(x), name="net")


def samples(shape=(6, 4)):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@closed
class Cube(layers.Layer):
    """A layer that no rule knows."""

    def call(self, x):
        return x**3


@closed
class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="hidden")
        self.dense = layers.Dense(4)

    def call(self, x):
        return self.dense(x)


# --- Layers --------------------------------------------------------------------------


def offenders(x):
    x = layers.ReLU(name="plain")(x)
    x = ops.cast(ops.argmax(x, axis=1, keepdims=True), "float32") + x
    x = ops.flip(x, axis=0)
    return Cube(name="cube")(x)


@CONVERTING
def test_all_layers_in_the_way_are_named_at_once(convert):
    model = source(offenders)
    with pytest.raises(
        ConversionError,
        match=says(
            "Model 'net' cannot be converted; 4 of its",
            "'plain' (ReLU): a plain ReLU has no step size",
            "snn_keras.quantize_activations",
            "(Argmax): its output is of type int32",
            "(Flip): it acts along the batch axis",
            "'cube' (Cube): it is not one of Keras's own",
            "register a rule",
        ),
    ) as error:
        convert(model, 4)
    lines = str(error.value).splitlines()[1:]
    assert len(lines) == 4
    assert all("Remedy: " in line for line in lines)
    # They are all that is named.
    assert not re.search(r"'(dense\d|act\d)'", str(error.value))


def test_layers_inside_nested_models_are_named():
    start = keras.Input((4,))
    inner = keras.Model(start, Cube(name="cube")(layers.Softmax(name="soft")(start)))
    with pytest.raises(ConversionError, match=says("'cube' (Cube)", "'cube_1'")):
        snn_keras.convert(source(lambda x: inner(inner(x))), 4)


def test_a_subclassed_model_inside_is_named():
    with pytest.raises(ConversionError, match=says("'hidden' (Subclassed)", "Remedy")):
        snn_keras.convert(source(Subclassed()), 4)


# Time is folded into the batch: these would mix the steps of samples.
ALONG_THE_BATCH = {
    "mean": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "sum": lambda x: x + ops.sum(x, axis=0),
    "flip": lambda x: ops.flip(x, axis=0),
    "flip_all": ops.flip,
    "repeat": lambda x: ops.repeat(x, 2, axis=0),
    "slice": lambda x: x[1:, :],
    "pad": lambda x: ops.pad(x, ((1, 0), (0, 0))),
    "reshape": lambda x: ops.reshape(x, (-1, 2)),
    "roll": lambda x: ops.roll(x, 1, axis=0),
    "cumsum": lambda x: ops.cumsum(x, axis=0),
    "concatenate": lambda x: ops.concatenate([x, x], axis=0),
    "concatenate_layer": lambda x: layers.Concatenate(axis=0)([x, x]),
    "stack": lambda x: ops.stack([x, x], axis=0)[0],
}


@pytest.mark.parametrize("function", ALONG_THE_BATCH)
def test_operations_along_the_batch_are_refused(function):
    with pytest.raises(ConversionError, match=says("cannot be converted", "Remedy: ")):
        snn_keras.convert(source(ALONG_THE_BATCH[function]), 5)


def test_an_operation_with_a_fixed_batch_size_is_refused():
    inputs = keras.Input(batch_shape=(6, 4))
    x = LSQReLU(2, initial_step=0.5)(inputs)
    x = LSQReLU(2, initial_step=0.5)(ops.reshape(x, (6, 2, 2)))
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ConversionError, match=says("(Reshape)", "batch", "Remedy: ")):
        snn_keras.convert(model, 4)


@pytest.mark.parametrize("shape", [(2, 4), (4, 4)], ids=["differ", "equal"])
def test_steps_along_another_axis_are_refused(shape):
    """A cell has a threshold for each entry of the last axis, and of no other."""
    steps = [0.25 * (i + 1) for i in range(shape[0])]
    inputs = keras.Input(shape)
    x = LSQReLU(2, initial_step=steps, axis=1, name="act")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ConversionError, match=says("'act' (LSQReLU)", "axis")):
        snn_keras.convert(model, 4)


# --- Activations ---------------------------------------------------------------------


CURVES = {
    "gelu": layers.Activation("gelu", name="curve"),
    "leaky": layers.LeakyReLU(name="curve"),
    "slope": layers.ReLU(negative_slope=0.1, name="curve"),
    "threshold": layers.ReLU(threshold=0.5, name="curve"),
}


@pytest.mark.parametrize("curve", CURVES)
def test_other_activation_functions_take_data(curve):
    model = relu_source(CURVES[curve])
    with pytest.raises(ConversionError, match=says("['curve']", "Remedy: ", "data=x")):
        snn_keras.quantize_activations(model)
    assert snn_keras.convert(model, 4, data=samples()).timesteps == 4


def test_a_plain_relu_needs_data_or_quantizing():
    message = says("'relu' (ReLU)", "quantize_activations", "data=")
    with pytest.raises(ConversionError, match=message):
        snn_keras.convert(relu_source(), 4)


@CONVERTING
def test_a_model_without_activations_is_refused(convert):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(2, activation="tanh")], name="net"
    )
    with pytest.raises(
        ConversionError, match=says("'net' has no activation", "Remedy: ", "LSQReLU")
    ):
        convert(model, 4)
    message = says("'net' has no ReLU", "Dense", "Activation")
    with pytest.raises(ConversionError, match=message):
        snn_keras.quantize_activations(model)
    with pytest.raises(ConversionError, match=message):
        snn_keras.convert(model, 4, data=samples())


@BAD_SIZES
@CONVERTING
def test_sizes_that_are_not_positive_are_refused(convert, value):
    model = source()
    model.get_layer("act1").step.assign(value)
    model.get_layer("act2").threshold.assign(value)
    with pytest.raises(
        ConversionError,
        match=says(
            "2 of its",
            "'act1' (LSQReLU)",
            "step must be finite and greater than 0",
            "'act2' (QCFS)",
            "threshold must be finite and greater than 0",
            f"Received: {value}",
            "initial_step=",
            "initial_threshold=",
        ),
    ):
        convert(model, 4)


@BAD_SIZES
def test_one_bad_channel_is_enough(value):
    inputs = keras.Input((3,))
    act = LSQReLU(2, initial_step=[1.0, 1.0, 1.0], axis=-1, name="act")
    model = keras.Model(inputs, layers.Dense(2)(act(inputs)))
    act.step.assign([1.0, value, 1.0])
    with pytest.raises(ConversionError, match=says("'act'", f"Received: {value}")):
        snn_keras.convert(model, 4)


def test_a_step_that_no_batch_has_set_is_refused():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(2)(LSQReLU(2, name="act")(inputs)))
    with pytest.raises(ConversionError, match=says("'act'", "Train the layer")):
        snn_keras.convert(model, 4)


# --- Models --------------------------------------------------------------------------

TAKES_A_MODEL = pytest.mark.parametrize(
    "use",
    [
        lambda model: snn_keras.convert(model, 4),
        lambda model: snn_keras.convert(model, 4, data=samples()),
        lambda model: snn_keras.plan(model, 4),
        lambda model: snn_keras.quantize_activations(model),
        lambda model: snn_keras.verify(model, snn_keras.convert(source(), 4), 0),
    ],
    ids=["convert", "convert_data", "plan", "quantize_activations", "verify"],
)


@TAKES_A_MODEL
def test_an_unbuilt_model_is_refused(use):
    model = keras.Sequential([layers.Dense(3), LSQReLU(2)], name="net")
    with pytest.raises(
        ValueError, match=says("'net' is not built", "Remedy: ", "keras.Input")
    ):
        use(model)


@TAKES_A_MODEL
def test_a_subclassed_model_that_stays_closed_is_refused(use):
    model = Subclassed()
    model(samples())
    with pytest.raises(ValueError, match=says("'hidden'", "Remedy")):
        use(model)


@TAKES_A_MODEL
@pytest.mark.parametrize(
    ("other", "received"),
    [
        ("net.keras", "'net.keras' of type str"),
        (None, "None of type NoneType"),
        ([], "[] of type list"),
        (LSQReLU, "of type type"),
    ],
    ids=["path", "none", "list", "class"],
)
def test_what_is_not_a_model_is_refused(use, other, received):
    with pytest.raises(ValueError, match=says("Expected a keras.Model", received)):
        use(other)


# --- Time steps ----------------------------------------------------------------------


@NOT_TIMESTEPS
def test_timesteps_are_refused(timesteps):
    model, floats = source(), relu_source()
    snn = snn_keras.convert(model, 4)
    chosen = (  # where None leaves the choice to us
        lambda: snn_keras.convert(model, timesteps),
        lambda: snn_keras.convert(floats, timesteps, data=samples()),
        lambda: snn_keras.plan(model, timesteps),
    )
    for use in (
        *(chosen if timesteps is not None else ()),
        lambda: snn.with_timesteps(timesteps),
    ):
        with pytest.raises(
            ValueError,
            match=says("timesteps must be an integer >= 1", f"timesteps={timesteps!r}"),
        ):
            use()


def test_data_in_the_place_of_timesteps_are_refused():
    message = says("timesteps must be", '"settle"', "(6, 4)", "convert(model, data=x)")
    with pytest.raises(ValueError, match=message):
        snn_keras.convert(relu_source(), np.zeros((6, 4)))


@CONVERTING
def test_a_spiking_network_is_not_converted_again(convert):
    snn = snn_keras.convert(source(), 4)
    with pytest.raises(ConversionError, match=says("spiking", "with_timesteps")):
        convert(snn)


def test_whole_numbers_of_numpy_are_timesteps():
    assert snn_keras.convert(source(), np.int64(3)).timesteps == 3


# --- Neurons -------------------------------------------------------------------------


def test_an_unknown_neuron_of_a_float_network_is_refused_in_silence(capsys):
    with pytest.raises(ValueError, match=says("neuron must be one of", "'iff'")):
        snn_keras.convert(relu_source(), neuron="iff", data=samples())
    assert not capsys.readouterr().out


@CONVERTING
@pytest.mark.parametrize(
    "neuron",
    ["iff", "", None, 3, object(), IFCell, {"act1": "iff"}, {"act1": object()}],
    ids=[
        "typo",
        "empty",
        "none",
        "number",
        "object",
        "class",
        "in_dict",
        "obj_in_dict",
    ],
)
def test_neurons_are_refused(convert, neuron):
    received = neuron["act1"] if isinstance(neuron, dict) else neuron
    with pytest.raises(
        ValueError,
        match=says("neuron must be one of", "'auto'", "'if'", f"neuron={received!r}"),
    ):
        convert(source(), 4, neuron=neuron)


@CONVERTING
@pytest.mark.parametrize(
    "keys", [["act3"], ["act1", "dense1"], [1], [1, "act3"]], ids=str
)
def test_names_that_no_activation_has_are_refused(convert, keys):
    unknown = [key for key in keys if key != "act1"]
    with pytest.raises(
        ConversionError,
        match=says("'net'", "['act1', 'act2']", *map(repr, unknown)),
    ):
        convert(source(), 4, neuron=dict.fromkeys(keys, "if"))


# --- Cells ---------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("threshold", [0, -1.0, np.nan, np.inf, [1.0, 0.0], "high", []])
def test_thresholds_are_refused(cell, threshold):
    with pytest.raises(
        ValueError,
        match=says(
            f"{cell.__name__} 'cell'",
            "threshold must be",
            f"Received: threshold={threshold!r}",
        ),
    ):
        cell(threshold, name="cell")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_thresholds_that_do_not_fit_the_channels_are_refused(cell, count):
    layer = Spiking(cell([0.5] * count, name="cell"))
    with pytest.raises(
        ValueError, match=says(f"{cell.__name__} 'cell'", f"{count} channels", "with 3")
    ):
        layer(np.zeros((2, 5, 3), "float32"))


def test_thresholds_of_two_axes_are_refused():
    with pytest.raises(ValueError, match=says("IFCell 'cell'", "threshold")):
        IFCell([[0.5, 0.5]], name="cell")


@pytest.mark.parametrize("initial", [np.nan, "half"])
def test_potentials_at_rest_are_refused(initial):
    with pytest.raises(ValueError, match=says("IFCell 'cell'", "initial")):
        IFCell(1.0, initial=initial, name="cell")


@pytest.mark.parametrize("cell", ["if", None, object()], ids=["name", "none", "object"])
def test_what_is_not_a_cell_is_refused(cell):
    with pytest.raises(ValueError, match=says("cell", repr(cell))):
        Spiking(cell)


# --- Inputs of a converted model -----------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "predict_over_time"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 2), (6,)], ids=str)
def test_inputs_of_another_shape_are_refused(shape, method):
    snn = snn_keras.convert(source(), 4)
    with pytest.raises(ValueError, match=says("'x'", "(None, 4)", str(shape))):
        getattr(snn, method)(np.zeros(shape, "float32"), verbose=0)


@pytest.mark.parametrize("method", ["predict", "predict_over_time"])
@pytest.mark.parametrize(
    "shape", [(6, 3, 8, 1), (6, 8, 8, 3), (8, 8, 1), (3,)], ids=str
)
def test_inputs_of_another_shape_are_refused_after_good_ones(shape, method):
    inputs = keras.Input((8, 8, 1), name="x")
    x = layers.Conv2D(2, 3)(inputs)
    x = layers.Flatten()(LSQReLU(2, initial_step=0.5)(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    snn = snn_keras.convert(model, 4)
    run = getattr(snn, method)
    for count in (2, 6):  # Keras compiles for open shapes when they change
        run(np.zeros((count, 8, 8, 1), "float32"), verbose=0)
    with pytest.raises(ValueError, match=says("'x'", "(None, 8, 8, 1)", "x[None]")):
        run(np.zeros(shape, "float32"), verbose=0)


# --- Calibration data ----------------------------------------------------------------

WITH_DATA = pytest.mark.parametrize(
    "use",
    [
        lambda model, data: snn_keras.quantize_activations(model, data=data),
        lambda model, data: snn_keras.convert(model, 4, data=data),
    ],
    ids=["quantize_activations", "convert"],
)
VERIFYING = pytest.mark.parametrize("verifying", [False, True], ids=["data", "verify"])


@WITH_DATA
def test_empty_data_is_refused(use):
    with pytest.raises(ValueError, match=says("'x' is empty", "(0, 4)", "Give it")):
        use(relu_source(), samples()[:0])


@WITH_DATA
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_data_that_is_not_finite_is_refused(use, value):
    data = samples()
    data[2, 1:3] = value
    with pytest.raises(ValueError, match=says("'x' holds 2 values", "NaN", "Remove")):
        use(relu_source(), data)


@WITH_DATA
@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 2), (6,), ()])
def test_data_of_another_shape_is_refused(use, shape):
    with pytest.raises(
        ValueError, match=says("'x' has the wrong shape", "(None, 4)", f"{shape}")
    ):
        use(relu_source(), np.zeros(shape, "float32"))


@WITH_DATA
@pytest.mark.parametrize("dtype", [object, str])
def test_data_that_is_not_of_numbers_is_refused(use, dtype):
    with pytest.raises(ValueError, match=says("data for input 'x'", "dtype")):
        use(relu_source(), samples().astype(dtype))


@WITH_DATA
@pytest.mark.parametrize("wrap", [dict, tuple, list], ids=["dict", "tuple", "list"])
def test_data_of_another_structure_is_refused(use, wrap):
    data = {"X": samples()} if wrap is dict else wrap([samples()] * 2)
    with pytest.raises(
        ValueError,
        match=says("structure of the model's inputs", "(None, 4)", wrap.__name__),
    ):
        use(relu_source(), data)


def two_inputs():
    ends = {name: keras.Input((4,), name=name) for name in ("left", "right")}
    x = layers.ReLU()(ends["left"] - ends["right"])
    return keras.Model(ends, layers.Dense(2)(x))


@pytest.mark.parametrize(
    "keys", [["left"], ["left", "right", "middle"], ["left", "Right"]], ids=str
)
def test_data_for_other_inputs_is_refused(keys):
    """The message names what is expected, and what was given."""
    with pytest.raises(
        ValueError, match=says("left", "right", *(f"{key}" for key in keys))
    ):
        snn_keras.quantize_activations(
            two_inputs(), data={key: samples() for key in keys}
        )


@pytest.mark.parametrize("counts", [(6, 4), (4, 6)])
def test_inputs_with_unequal_numbers_of_samples_are_refused(counts):
    data = {
        name: samples((count, 4))
        for name, count in zip(("left", "right"), counts, strict=True)
    }
    with pytest.raises(ValueError, match=says("data", *map(str, counts))):
        snn_keras.quantize_activations(two_inputs(), data=data)


def test_data_of_the_wrong_input_is_named():
    with pytest.raises(ValueError, match=says("input 'right'", "(6, 5)")):
        snn_keras.quantize_activations(
            two_inputs(), data={"left": samples(), "right": samples((6, 5))}
        )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("levels", 0),
        ("levels", 2.5),
        ("levels", None),
        ("quantizer", "lsqq"),
        ("quantizer", None),
        ("calibration", "median"),
        ("noise", "gaussian"),
        ("axis", 2),
        ("axis", "channels"),
        ("batch_size", 0),
        ("batch_size", 2.5),
    ],
)
def test_arguments_of_quantize_activations_are_refused(argument, value):
    with pytest.raises(ValueError, match=says(argument, repr(value))):
        snn_keras.quantize_activations(
            relu_source(), data=samples(), **{argument: value}
        )


# --- verify --------------------------------------------------------------------------


def test_verify_needs_a_spiking_model():
    model = source()
    for other in (model, None, "snn"):
        with pytest.raises(ConversionError, match=says("verify needs a spiking model")):
            snn_keras.verify(model, other, samples())


def test_verify_needs_the_source_of_the_spiking_model():
    snn = snn_keras.convert(source(), 4)
    other = source(act="other")
    with pytest.raises(
        ConversionError,
        match=says("source it was converted from", "['act1', 'act2']", "'other'"),
    ):
        snn_keras.verify(other, snn, samples())


def test_verify_needs_activations_that_neurons_stand_for():
    inputs = keras.Input((4,), name="x")
    x = layers.Activation("silu", name="act")(layers.Dense(4)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    snn = snn_keras.convert(model, 4, data=samples())
    with pytest.raises(
        ConversionError, match=says("'act_quantized'", "quantize_activations")
    ):
        snn_keras.verify(model, snn, samples())


def test_verify_needs_an_activation_to_compare_with():
    inputs = keras.Input((4,), name="x")
    x = NoisySpike(name="noisy")(layers.Dense(4)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ConversionError, match=says("'noisy'", "at random")):
        snn_keras.verify(model, snn_keras.convert(model, 4), samples())


def test_verify_needs_activations_of_the_same_shape():
    inputs = keras.Input((4,), name="x")
    x = LSQReLU(2, initial_step=0.5, name="act1")(layers.Dense(7)(inputs))
    x = QCFS(2, initial_threshold=1.0, name="act2")(layers.Dense(4)(x))
    wider = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ConversionError, match=says("'act1'", "7", "4")):
        snn_keras.verify(wider, snn_keras.convert(source(), 4), samples())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (samples()[:0], "empty"),
        (samples() * np.nan, "not finite"),
        (samples((6, 5)), "wrong shape"),
        ([samples()] * 2, "structure"),
    ],
    ids=["empty", "nan", "shape", "structure"],
)
def test_verify_refuses_inputs(data, message):
    model = source()
    snn = snn_keras.convert(model, 4)
    with pytest.raises(ValueError, match=message):
        snn_keras.verify(model, snn, data)


# --- Layers that cannot be copied ----------------------------------------------------


@closed
class Applies(layers.Layer):
    """Has an argument that Keras cannot write down."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


@closed
class Scaled(layers.Layer):
    """Has weights that its configuration does not tell of."""

    scales = 0

    def build(self, input_shape):
        for i in range(self.scales):
            self.add_weight(shape=(input_shape[-1],), name=f"scale{i}")

    def call(self, x):
        return x


def uncopied(layer):
    inputs = keras.Input((4,))
    x = LSQReLU(2, initial_step=0.5)(layers.Dense(4)(layer(inputs)))
    return keras.Model(inputs, layers.Dense(2)(x))


def test_a_layer_without_configuration_is_named():
    model = uncopied(Applies(abs, name="magnitude"))
    words = says("'magnitude'", "Applies", "made anew", "get_config", "Remedy")
    with pytest.raises(ConversionError, match=words):
        snn_keras.convert(model, 4)


def test_a_layer_with_other_weights_is_named():
    layer = Scaled(name="scaled")
    layer.scales = 2
    words = says("'scaled'", "gives 0 weights", "it has 2", "get_build_config")
    with pytest.raises(ConversionError, match=words):
        snn_keras.convert(uncopied(layer), 4)


# --- Nothing is half-built -----------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda model: snn_keras.convert(model, 4),
        lambda model: snn_keras.convert(model, 4, data=samples()),
        lambda model: snn_keras.convert(model, 0),
        lambda model: snn_keras.convert(model, 4, neuron={"act3": "if"}),
        lambda model: snn_keras.quantize_activations(model, levels=0),
        lambda model: snn_keras.quantize_activations(model, data=samples() * np.nan),
        lambda model: snn_keras.quantize_activations(model, data=samples((6, 5))),
    ],
    ids=["layers", "data", "timesteps", "neuron", "levels", "nan", "shape"],
)
def test_a_refusal_leaves_the_source_as_it_was(use):
    def between(x):
        return Cube(name="cube")(layers.ReLU(name="relu")(x))

    model = source(between)
    x = samples()
    expected = model.predict(x, verbose=0)
    config, weights = model.get_config(), model.get_weights()
    outputs = [layer.output for layer in model.layers]
    with pytest.raises(ValueError, match=r"."):
        use(model)
    assert model.get_config() == config
    for new, old in zip(model.get_weights(), weights, strict=True):
        assert np.array_equal(new, old)
    assert [layer.output for layer in model.layers] == outputs
    assert np.array_equal(model.predict(x, verbose=0), expected)


def test_a_refused_model_converts_once_it_is_mended():
    model = source()
    act = model.get_layer("act1")
    act.step.assign(0.0)
    with pytest.raises(ConversionError, match="'act1'"):
        snn_keras.convert(model, 4)
    act.step.assign(0.5)
    assert snn_keras.convert(model, 4).predict(samples(), verbose=0).shape == (6, 2)


def test_bias_correction_needs_data_and_neurons_that_err():
    with pytest.raises(ValueError, match=says("bias_correction", "data=x")):
        snn_keras.convert(source(), 4, bias_correction=True)
    for neuron in ("signed", "bit_serial"):
        model = keras.Sequential([keras.Input((4,)), LSQReLU(3, initial_step=0.5)])
        with pytest.raises(ValueError, match=says("if, srp, cos", "Cell")):
            snn_keras.convert(model, 4, neuron, data=samples(), bias_correction=True)


def test_settling_needs_levels_for_plain_relus():
    with pytest.raises(ValueError, match=says("settle", "levels=...")):
        snn_keras.convert(relu_source(), "settle", "signed", data=samples())


# --- Neurons and timing ------------------------------------------------------------


def noisy_source():
    inputs = keras.Input((4,), name="x")
    x = NoisySpike(name="noisy")(layers.Dense(4)(inputs))
    return keras.Model(inputs, layers.Dense(2)(x), name="net")


def bits_source():
    inputs = keras.Input((4,), name="x")
    x = LSQReLU(3, initial_step=0.5, name="act1")(layers.Dense(4)(inputs))
    x = LSQReLU(3, initial_step=0.5, name="act2")(layers.Dense(4)(x))
    return keras.Model(inputs, layers.Dense(2)(x), name="net")


NEURONS = {
    "mixed kinds": (
        bits_source,
        2,
        {"neuron": {"act1": "bit_serial"}},
        ("a network is of one kind", "'act1': 'BitSerialCell'", "'act2': 'IFCell'"),
    ),
    "input_steps": (
        bits_source,
        2,
        {"neuron": "if", "input_steps": 2},
        (
            "input_steps is for signed and differential neurons",
            "input_steps=2",
            "coding Rate",
        ),
    ),
    "input_steps of bits": (
        bits_source,
        2,
        {"neuron": "bit_serial", "input_steps": 2},
        ("input_steps is for signed and differential neurons", "coding Radix"),
    ),
    "no input_steps": (
        bits_source,
        2,
        {"neuron": "signed", "input_steps": 0},
        ("input_steps must be an integer >= 1", "input_steps=0"),
    ),
    "never settles": (
        bits_source,
        "settle",
        {"neuron": "if"},
        ('timesteps="settle" needs neurons', 'neuron="differential"'),
    ),
    "noisy": (
        noisy_source,
        2,
        {"neuron": "if"},
        ("'noisy' (NoisySpike)", "trained to spike at random", "'if'"),
    ),
}


@CONVERTING
@pytest.mark.parametrize("case", NEURONS)
def test_neurons_that_do_not_fit_are_refused(convert, case):
    make, timesteps, arguments, parts = NEURONS[case]
    with pytest.raises((ValueError, ConversionError), match=says(*parts)):
        convert(make(), timesteps, **arguments)


@pytest.mark.parametrize(
    ("timesteps", "neuron", "parts"),
    [
        (2, "bit_serial", ("in one pass", "fused=False")),
        ("settle", "signed", ("until it settles", "with_timesteps(T)")),
    ],
)
def test_networks_without_an_output_over_time_say_so(timesteps, neuron, parts):
    snn = snn_keras.convert(bits_source(), timesteps, neuron)
    with pytest.raises(ValueError, match=says(*parts)):
        snn.predict_over_time(samples(), verbose=0)


@pytest.mark.parametrize("neuron", ["signed", "if"])
def test_runs_of_fixed_length_do_not_settle(neuron):
    snn = snn_keras.convert(bits_source(), 3, neuron)
    for method in (snn.settling_steps, snn.predict_until_settled):
        with pytest.raises(ValueError, match=says("3 time steps", '"settle"')):
            method(samples(), verbose=0)


@pytest.mark.parametrize("size", [0, -1, 2.5, "4", True])
def test_batches_have_a_whole_number_of_samples(size):
    snn, x = snn_keras.convert(bits_source(), "settle", "signed"), samples()
    expected = snn.predict(x, verbose=0)
    for method in (snn.predict, snn.predict_until_settled):
        with pytest.raises(ValueError, match="batch_size must be an integer >= 1"):
            method(x, batch_size=size)
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1"):
        snn.evaluate(x, x, batch_size=size)
    assert np.array_equal(snn.predict(x, verbose=0), expected)  # it is not lost


def test_no_samples_are_no_input():
    snn = snn_keras.convert(bits_source(), 3)
    with pytest.raises(ValueError, match=r"x must be inputs\. Received: x=None"):
        snn.predict(None, verbose=0)
    with pytest.raises(ValueError, match="there are no samples"):
        snn.predict(samples()[:0], verbose=0)


def test_bit_sparsity_refuses():
    for wrong in (-1, "1e-8", float("nan"), float("inf"), None):
        with pytest.raises(ValueError, match="strength must be a number >= 0"):
            snn_keras.regularizers.BitSparsity(wrong)
    with pytest.raises(ValueError, match=says("needs the step", ".apply(model)")):
        snn_keras.regularizers.BitSparsity(1e-3)(np.ones((2, 4), "float32"))
    model = keras.Sequential([keras.Input((4,)), LSQReLU(3, initial_step=0.5)])
    with pytest.raises(ValueError, match=says("leaves the last", "has only 1")):
        snn_keras.regularizers.BitSparsity(1e-3).apply(model)


# --- What a call or a class hides ----------------------------------------------------


def test_masks_between_neurons_are_refused():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, name="words")(inputs)
    x = LSQReLU(3, initial_step=0.5)(layers.Dense(4)(x))
    x = layers.Dense(2)(layers.GlobalAveragePooling1D(name="mean")(x))
    with pytest.raises(ConversionError, match=says("'mean'", "mask", "Remedy: ")):
        snn_keras.convert(keras.Model(inputs, x), 4)


def test_training_mode_is_refused():
    model = source(lambda x: layers.Dropout(0.5, name="always")(x, training=True))
    with pytest.raises(ConversionError, match=says("'always'", "training=True")):
        snn_keras.convert(model, 4)


@closed
class TanhDense(layers.Dense):
    """Derived from a layer that has a rule, and something else."""

    def call(self, x, training=None):
        return ops.tanh(super().call(x))


class NamedDense(layers.Dense):
    """Derived, and the same function."""


class Unlevelled(layers.Layer):
    def call(self, x):
        return ops.relu(x)


snn_keras.rule(Unlevelled)(type("UnlevelledRule", (snn_keras.rules.Neuron,), {}))

HIDDEN = {
    "derived": lambda x: TanhDense(4, name="odd")(x),
    "function": lambda x: layers.Lambda(lambda y: y**3, name="odd")(x),
    "wrapped": lambda x: layers.Flatten()(
        layers.TimeDistributed(TanhDense(2), name="odd")(layers.Reshape((2, 2))(x))
    ),
    "neuron": Unlevelled(name="odd"),
}


@pytest.mark.parametrize("between", HIDDEN)
def test_layers_that_hide_what_they_do_are_refused(between):
    with pytest.raises(ConversionError, match=says("'odd'", "Remedy: ")):
        snn_keras.convert(source(HIDDEN[between]), 4)


def test_layers_with_a_memory_are_refused():
    inputs = keras.Input(batch_shape=(6, 5, 4))
    x = LSQReLU(3, initial_step=0.5)(layers.Dense(4)(inputs))
    x = layers.Dense(4)(layers.LSTM(4, stateful=True, name="odd")(x))
    x = LSQReLU(3, initial_step=0.5)(x)
    with pytest.raises(ConversionError, match=says("'odd'", "without a memory")):
        snn_keras.convert(keras.Model(inputs, x), 4)


def test_a_derived_layer_that_computes_the_same_converts():
    model = source(NamedDense(4))
    assert snn_keras.convert(model, 4).predict(samples(), verbose=0).shape == (6, 2)


def leaky_relu(x):
    """Has the name of one of Keras's, and is another."""
    return ops.where(x > 0, x, 0.25 * x)


def test_a_function_that_cannot_be_copied_is_named():
    inputs = keras.Input((3, 4))
    x = layers.SimpleRNN(4, activation=leaky_relu, name="memory")(inputs)
    x = LSQReLU(3, initial_step=0.5)(layers.Dense(4)(x))
    with pytest.raises(
        ConversionError, match=says("'memory'", "leaky_relu", "Remedy: ")
    ):
        snn_keras.convert(keras.Model(inputs, x), 4)


@pytest.mark.parametrize("timesteps", [4, "settle"])
def test_plain_relus_are_named_whatever_the_neuron(timesteps):
    with pytest.raises(ConversionError, match=says("'relu'", "quantize_activations")):
        snn_keras.convert(relu_source(), timesteps, neuron="signed")
