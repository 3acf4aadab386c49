"""From a model of tf_keras to one of Keras 3, which computes the same."""

import keras

from snn_keras.errors import ConversionError
from snn_keras.interop import tfmot
from snn_keras.interop.layers import Step, Untranslatable, function_of, layer_of


def from_tf_keras(model):
    """Makes a Keras 3 model of a tf_keras model.

    Models of TensorFlow Model Optimization are understood:

    - pruned and clustered ones: the wrappers are taken off, zeros and shared values
      stay (`weight_statistics` counts them);
    - quantize-aware ones: kernels become what they are quantized to, and every range
      of activations a `LSQReLU` of its step, with `2^8 - 1` levels where it reaches
      below 0 (there it is shifted first) and as many as are above 0 behind a ReLU.
      Converted with `neuron="bit_serial", timesteps=8`, the spiking network computes
      the integers that the quantized network does.

    Args:
        model: A functional or Sequential `tf_keras.Model`; it stays as it was.

    Returns:
        A functional `keras.Model` with the same layer names.

    Raises:
        ConversionError: if layers have no counterpart in Keras 3; every one is named.
        ValueError: if `model` is no tf_keras model, or one without a graph.
    """
    if isinstance(model, (keras.Model, keras.layers.Layer)):
        raise ValueError(
            f"'{model.name}' is a Keras 3 model already. Remedy: use it as it is."
        )
    if not hasattr(model, "get_config") or not hasattr(model, "layers"):
        raise ValueError(
            "expected a tf_keras.Model. Remedy: tf_keras.models.load_model(path), "
            "inside tfmot's scope where it has wrappers. Received: "
            f"{model!r} of type {type(model).__name__}."
        )
    model = tfmot.stripped(model)
    try:
        config = model.get_config()
        nodes = config["layers"]
    except (NotImplementedError, KeyError) as error:
        raise ValueError(
            f"'{model.name}' is a subclass of tf_keras.Model without a graph. Remedy: "
            "build it as a functional or Sequential model."
        ) from error
    operations = _translated(model, nodes)
    sequential = "output_layers" not in config
    return (_chain if sequential else _graph)(model, operations)


def _translated(model, nodes):
    """What every layer becomes: `{name: [operation, ...]}`."""
    operations, offenders = {}, []
    for node in nodes:
        if node["class_name"] == "InputLayer":
            continue
        name = node["config"]["name"]
        try:
            operations[name] = _operations_of(model.get_layer(name))
        except Untranslatable as reason:
            offenders.append(f"- '{name}' ({node['class_name']}): {reason}")
    if offenders:
        raise ConversionError(
            f"'{model.name}' has layers that Keras 3 cannot take over:\n"
            + "\n".join(offenders)
            + "\nRemedy: replace them in the tf_keras model by layers that both have."
        )
    return operations


def _operations_of(layer):
    """Keras 3 operations that compute one after the other what `layer` does."""
    if _is_model(layer):
        return [Step(from_tf_keras(layer))]
    if type(layer).__name__ == "TFOpLambda":
        return [function_of(layer)]
    if tfmot.is_quantizing(layer):
        return tfmot.operations_of(layer)
    return [layer_of(layer)]


def _is_model(layer):
    return any(
        cls.__name__ in ("Functional", "Sequential") for cls in type(layer).mro()
    )


def _chain(model, operations):
    """A Sequential model."""
    (first,) = model.inputs
    x = inputs = keras.Input(tuple(first.shape[1:]), dtype=first.dtype.name)
    for steps in operations.values():
        x = _apply(steps, [x], {})
    return keras.Model(inputs, x, name=model.name)


def _graph(model, operations):
    """A functional model, its layers called in the order they were."""
    config, tensors = model.get_config(), {}
    for node in config["layers"]:
        layer = model.get_layer(node["config"]["name"])
        if node["class_name"] == "InputLayer":
            shape, dtype = layer.input_shape[0], layer.dtype
            tensors[layer.name, 0] = keras.Input(
                tuple(shape[1:]), shape[0], dtype=dtype, name=layer.name
            )
    waiting = [
        (node["config"]["name"], i, call)
        for node in config["layers"]
        if node["class_name"] != "InputLayer"
        for i, call in enumerate(node["inbound_nodes"])
    ]
    while waiting:  # a layer called twice may have to wait for another
        left = []
        for name, i, call in waiting:
            try:
                args, kwargs = _arguments(call, tensors)
            except KeyError:
                left.append((name, i, call))
                continue
            # A model's own inputs and outputs count as its first call.
            place = i + _is_model(model.get_layer(name))
            tensors[name, place] = _apply(operations[name], args, kwargs)
        if len(left) == len(waiting):
            raise ConversionError(f"'{model.name}': no order of calls for {left}")
        waiting = left

    def ends(keys):
        keys = keys if isinstance(keys[0], (list, tuple)) else [keys]
        found = [_pick(tensors[name, i], k) for name, i, k in keys]
        return found if len(found) > 1 else found[0]

    inputs, outputs = (ends(config[key]) for key in ("input_layers", "output_layers"))
    return keras.Model(inputs, outputs, name=model.name)


def _arguments(call, tensors):
    """A call's arguments, from how tf_keras writes them down."""
    if call and isinstance(call[0], str):  # [name, node, tensor, keywords]
        call, single = [call], True
    else:
        single = len(call) == 1
    keywords = call[0][3] if len(call[0]) > 3 else {}

    def resolve(x):
        if _is_reference(x):
            name, i, value = x
            constant = name == "_CONSTANT_VALUE"
            return value if constant else _pick(tensors[name, i], value)
        if isinstance(x, list):
            return [resolve(part) for part in x]
        return x

    first = [resolve(list(reference[:3])) for reference in call]
    kwargs = {k: resolve(v) for k, v in keywords.items()}
    return [first[0] if single else first], kwargs


def _is_reference(x):
    return isinstance(x, list) and len(x) == 3 and isinstance(x[0], str)


def _pick(made, index):
    return made[index] if isinstance(made, (list, tuple)) else made


def _apply(steps, args, kwargs):
    """Calls the operations one after the other."""
    unset = {"name", "training", "mask"}
    kwargs = {k: v for k, v in kwargs.items() if k not in unset and v is not None}
    x = steps[0](*args, **kwargs)
    for step in steps[1:]:
        x = step(x)
    return x
