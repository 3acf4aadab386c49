"""Builds a spiking network as its plan says."""

import functools
import tempfile
import types
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from snn_keras._keras import copy_of, lookup_of, output_shape_of
from snn_keras.conversion import forms
from snn_keras.conversion.composite.closed import closed_layers
from snn_keras.conversion.normalize import (
    WRAPPERS,
    own_activation,
    without_activation,
)
from snn_keras.conversion.planning import Plan
from snn_keras.conversion.samples import is_built_in
from snn_keras.conversion.wrapped import policy_of, signal_of
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Names, Node, Tensor, computes_as, fill
from snn_keras.layers import FunctionLayer
from snn_keras.layers.function_layer import is_hidden
from snn_keras.simulate import SpikingModel
from snn_keras.time import (
    AffinePerStep,
    BiasCorrection,
    Frames,
    OnePassSpiking,
    PerStep,
    Present,
    ProductOfChanges,
    Readout,
    Spiking,
    TemporalDifference,
)
from snn_keras.typing import Array


def build(plan: Plan, name: str | None = None) -> SpikingModel:
    """Builds the spiking network that `plan` describes."""
    return Builder(plan).build(name)


class Copies:
    """Copies of a source model's layers; a layer that is shared has one copy.

    Args:
        nodes: The source's nodes. The first that calls an operation names its copy.
    """

    def __init__(self, nodes: Sequence[Node] = ()) -> None:
        self._copies = {}
        self._names = {id(node.operation): node.name for node in reversed(nodes)}
        self._shapes: dict[int, set] = {}
        for node in nodes:
            shape = node.outputs[0].shape[1:]
            self._shapes.setdefault(id(node.operation), set()).add(shape)

    def own(self, node: Node) -> keras.Operation:
        """The copy of the node's operation."""
        source = node.operation
        if id(source) not in self._copies:
            try:
                name = self._names.get(id(source), node.name)
                shapes = self._shapes.get(id(source), set())
                copy = _copy(node, name, shapes, self._inner(node))
            except Exception as error:  # a layer of the user's own may raise anything
                reason = str(error).strip().split("\n\n")[0]
                raise ConversionError(
                    f"{node.describe()} cannot be made anew from its configuration: "
                    f"{reason}\n{closed_layers([node])}Remedy: a layer class of which "
                    "get_config and the weights say all that it computes, with "
                    "get_build_config where its weights depend on more than the shape "
                    "of its input; or a function "
                    "registered with keras.saving.register_keras_serializable."
                ) from error
            self._copies[id(source)] = (source, copy)
        return self._copies[id(source)][1]

    def _inner(self, node):
        """The copy of the layer inside a wrapper; other nodes may use it, too."""
        if type(node.operation) not in WRAPPERS:
            return None
        layer, x = node.operation.layer, signal_of(node)
        if isinstance(node.operation, keras.layers.TimeDistributed):
            x = Tensor((x.shape[0], *x.shape[2:]), x.dtype)
        return self.own(Node(layer.name, layer, (x,), {}, node.outputs))


def _copy(node, name, shapes, inner=None):
    """A copy of a node's operation, with its configuration and its weights.

    Args:
        node: The node.
        name: The copy's name.
        shapes: The shapes that its calls give, without the batch.
        inner: For a wrapper, the copy of the layer inside.
    """
    source = node.operation
    copy = _made_anew(source, name, inner)
    if not isinstance(source, keras.layers.Layer):
        return copy
    theirs = _own_weights(source)
    if _completed(copy, node, shapes):
        copy.build(node.inputs[0].shape)
    elif source.built and not copy.built and type(copy).build is not _NO_BUILD:
        copy.build_from_config(source.get_build_config())
    if len(copy.weights) < len(theirs):  # a call builds the layers inside it
        node.call(copy, {x: keras.KerasTensor(x.shape, x.dtype) for x in node.inputs})
    # Weights are copied now, so that only one layer's initial values need memory, and
    # on the device, where the backend may share the memory until either is changed.
    if len(copy.weights) != len(theirs):
        raise ValueError(
            f"that gives {len(copy.weights)} weights, and it has {len(theirs)}."
        )
    for own, weight in _paired(copy.weights, theirs):
        own.assign(ops.copy(weight))
        own.trainable = weight.trainable
    for own, state in zip(memories_of(copy), memories_of(source), strict=True):
        own.assign(ops.copy(state))
    if hasattr(source, "save_assets"):
        _copy_assets(source, copy)
    if hasattr(copy, "finalize_state"):
        copy.finalize_state()
    is_known = _is_known(without_activation(source))
    if not is_known and not _computes_same(node, source, copy):
        raise ValueError(
            "that gives a layer that computes something else: it has numbers that are "
            "neither among its weights nor in its configuration."
        )
    return copy


def _completed(layer, node, shapes):
    """Tells an `EinsumDense` its whole output shape, if all its calls give the same."""
    if not computes_as(layer, keras.layers.EinsumDense) or "..." in layer.equation:
        return False
    is_known = len(shapes) == 1 and not any(None in shape for shape in shapes)
    if None not in layer.partial_output_shape or not is_known:
        return False
    if None in node.inputs[0].shape[1:]:
        return False
    (layer.partial_output_shape,) = shapes
    return True


def _copy_assets(source, copy):
    """Copies a vocabulary and its word counts, which are not weights."""
    variables = {}
    lookup_of(source).save_own_variables(variables)
    lookup_of(copy).load_own_variables(variables)
    with tempfile.TemporaryDirectory() as folder:
        source.save_assets(folder)
        copy.load_assets(folder)


_NO_BUILD = keras.layers.Layer.build


def memories_of(layer: keras.layers.Layer) -> list:
    """The states that recurrent layers keep, including those of layers inside."""
    states = tree.flatten(getattr(layer, "states", None))
    found = [state for state in states if isinstance(state, keras.Variable)]
    for name, value in vars(layer).items():
        if isinstance(value, keras.layers.Layer) and not name.startswith("_"):
            found.extend(memories_of(value))
    return found


def _own_weights(source):
    """The weights of a layer without those of its activation."""
    function = own_activation(source)
    if not isinstance(function, keras.layers.Layer):
        return source.weights
    apart = {id(weight) for weight in function.weights}
    return [weight for weight in source.weights if id(weight) not in apart]


def _is_known(layer):
    """Whether a layer is of a class of Keras or of this package, or is stateful."""
    is_ours = type(layer).__module__.split(".")[0] == "snn_keras"
    return is_ours or is_built_in(layer) or getattr(layer, "stateful", False)


def _computes_same(node, source, copy):
    """Whether a copy gives its source's outputs on random inputs.

    True also if the source fails on these inputs, or its outputs are random.
    """
    rng = np.random.default_rng(0)
    values = {x: _random_values(x, rng) for x in node.inputs}
    before = [ops.copy(variable) for variable in source.variables]
    try:
        first, again = (node.call(source, values, training=False) for _ in range(2))
    except Exception:  # a layer of the user's own may raise anything
        return True
    finally:
        for variable, value in zip(source.variables, before, strict=True):
            variable.assign(value)
    if not _close(first, again):
        return True
    before = [ops.copy(variable) for variable in copy.variables]
    found = node.call(copy, values, training=False)
    for variable, value in zip(copy.variables, before, strict=True):
        variable.assign(value)
    return _close(first, found)


def _random_values(x, rng):
    """Random values for a tensor of the graph; unknown axes have length 3."""
    shape = [size or 3 for size in x.shape]
    drawn = rng.normal(0, 1, shape) if "float" in x.dtype else rng.integers(0, 2, shape)
    return ops.cast(drawn, x.dtype)


def _close(a, b):
    pairs = zip(tree.flatten(a), tree.flatten(b), strict=True)
    return all(
        np.allclose(*map(ops.convert_to_numpy, pair), 1e-3, 1e-3, equal_nan=True)
        for pair in pairs
    )


def _paired(own, theirs):
    """Pairs of corresponding weights: by name if names are unique, else by order.

    The order is not enough: quantizing a built layer changes it.
    """
    names = [w.name for w in theirs]
    if len(set(names)) == len(names) and set(names) == {w.name for w in own}:
        by_name = {w.name: w for w in own}
        return [(by_name[w.name], w) for w in theirs]
    return list(zip(own, theirs, strict=True))


def _made_anew(source, name, inner=None):
    """An operation with the configuration and the functions of `source`.

    A configuration alone is not enough: Keras stores only the name of a function.
    """
    if not isinstance(source, keras.layers.Layer):
        copy = copy_of(source)
        copy.name = name
        return copy
    regularizer = source.activity_regularizer
    settings = {"name": name, "dtype": source.dtype_policy}
    settings["activity_regularizer"] = regularizer
    if computes_as(source, FunctionLayer):
        return FunctionLayer(source.function, **settings)
    if computes_as(source, keras.layers.Identity):
        # The name of the policy: Keras itself derives the configuration of Identity.
        settings = {"name": name, "dtype": source.dtype_policy.name}
        return keras.layers.Identity(activity_regularizer=regularizer, **settings)
    if computes_as(source, keras.layers.Activation):
        return keras.layers.Activation(source.activation, **settings)
    if computes_as(source, keras.layers.Lambda):
        if not source.arguments and is_hidden(source.function):
            return FunctionLayer(source.function, **settings)
        return keras.layers.Lambda(
            source.function,
            output_shape_of(source),
            arguments=source.arguments,
            **settings,
        )
    stand_in = without_activation(source)
    if inner is not None:  # the layer inside need not be serialized
        vars(stand_in)["layer"] = keras.layers.Identity()
        config = {**stand_in.get_config(), "name": name}
        return type(source)(inner, **{k: v for k, v in config.items() if k != "layer"})
    try:
        # Layers of nested models may share a name; nodes do not.
        copy = type(stand_in).from_config({**stand_in.get_config(), "name": name})
    except (TypeError, ValueError):
        copy = _through_keras(stand_in, name)
    theirs, own = (functions_of(x) for x in (stand_in, copy))
    for path, function in theirs.items():
        found = own.get(path)
        if found is not function and _described(found) != _described(function):
            raise ValueError(
                f"{'.'.join(path)} is the function {_described(function)}, and Keras "
                f"finds {_described(found)} by its name. Give it a name that Keras "
                "does not have, and register it."
            )
    return copy


def _through_keras(layer, name):
    """A copy of a layer, made by serializing and deserializing it as Keras does."""
    written = keras.saving.serialize_keras_object(layer)
    written["config"]["name"] = name
    kinds = {type(layer).__name__: type(layer)}
    return keras.saving.deserialize_keras_object(
        written, custom_objects=kinds, safe_mode=False
    )


def functions_of(layer: keras.layers.Layer, path: tuple = ()) -> dict:
    """The functions held by a layer and the layers inside it, `{path: function}`."""
    inside = {inner.name: inner for inner in getattr(layer, "layers", ())}
    held = {**inside, **vars(layer)}
    found = {}
    for name, value in held.items():
        if name.startswith("_") or name in ("build", "quantize"):
            continue
        if isinstance(value, keras.layers.Layer):
            found |= functions_of(value, (*path, name))
        elif isinstance(value, _FUNCTIONS):
            found[*path, name] = value
    return found


_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, functools.partial)


def _described(function):
    """A function's module and name."""
    if isinstance(function, functools.partial):
        return f"partial({_described(function.func)})"
    module = getattr(function, "__module__", None)
    return f"{module}.{getattr(function, '__qualname__', function)}"


def new_inputs(graph: Graph, steps: int | None = None) -> Any:
    """New `keras.Input`s for a graph, in the structure of its inputs.

    Args:
        graph: The graph.
        steps: Number of steps of a time axis behind the batch; None for no such axis.
    """
    names, time = iter(graph.input_names), () if steps is None else (steps,)
    return tree.map_structure(
        lambda x: keras.Input(
            batch_shape=(x.shape[0], *time, *x.shape[1:]),
            dtype=x.dtype,
            name=next(names),
        ),
        graph.inputs,
    )


class Builder:
    """Builds a spiking network from the steps of its plan.

    Attributes:
        tensors: The KerasTensor that carries each tensor of the source graph.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        graph = plan.graph
        self._names = Names([*graph.input_names, *(node.name for node in graph.nodes)])
        self.tensors = {}
        # Those that are called as they are need their own names; wrappers have theirs.
        plainly = sorted(plan.steps, key=lambda s: not isinstance(s.form, forms.Once))
        self._copies = Copies([step.node for step in plainly])
        self._timed = set()
        self._presented = {}
        self._read = {}
        self._wrappers = {}

    def build(self, name: str | None) -> SpikingModel:
        graph = self.plan.graph
        steps = self.plan.coding.timesteps if self.plan.input_frames else None
        inputs = new_inputs(graph, steps)
        self.tensors = dict(
            zip(tree.flatten(graph.inputs), tree.flatten(inputs), strict=True)
        )
        for step in self.plan.steps:
            outputs = tree.flatten(self._built(step))
            self.tensors.update(zip(step.node.outputs, outputs, strict=True))
            self._timed.update(step.node.outputs if step.stage.has_time else ())
        ends = {x: self._end(x) for x in tree.flatten(graph.outputs)}
        return SpikingModel(inputs, fill(graph.outputs, ends), name=name)

    def _built(self, step):
        """The outputs of a step; raises a ConversionError where building fails."""
        try:
            return self._in_form(step)
        except ConversionError:
            raise
        except Exception as error:  # Keras or a layer may raise anything
            raise ConversionError(
                f"{step.node.describe()} cannot be built anew: {error}\nRemedy: an "
                "operation that can be called a second time, on tensors of the same "
                "shapes; or a layer of one's own with a rule, snn_keras.rule."
            ) from error

    def _in_form(self, step):
        """The outputs of a step, built according to its form."""
        node, coding = step.node, self.plan.coding
        match step.form:
            case forms.Dropped():
                return self.tensors[node.inputs[0]]
            case forms.Once():
                values = {x: self.decoded(x) for x in node.inputs}
                return node.call(self._copies.own(node), values)
            case forms.EachFrame():
                return self._over_time(PerStep, node, self.tensors.get)
            case forms.EveryStep(is_affine=True) if not coding.is_steady:
                return self._over_time(AffinePerStep, node, coding=coding)
            case forms.EveryStep():
                return self._over_time(PerStep, node)
            case forms.Difference(homogeneous, bilinear):
                kind = ProductOfChanges if bilinear else TemporalDifference
                return self._difference(kind, node, homogeneous)
            case forms.Fire(cell, one_pass):
                return self._neurons(node, cell, one_pass)

    def over_time(self, x: Tensor) -> Array:
        """`x` with a time axis; if it has none, it is presented at every step."""
        tensor = self.tensors[x]
        if x in self._timed:
            return tensor
        if x not in self._presented:
            kind = Frames if self.plan.input_frames else Present
            present = kind(
                self.plan.coding,
                name=self._names.unique("present"),
                dtype=x.dtype,
            )
            self._presented[x] = present(tensor)
        return self._presented[x]

    def decoded(self, x: Tensor) -> Array:
        """`x` without a time axis; if it has one, it is read out."""
        if x not in self._timed:
            return self.tensors[x]
        if x not in self._read:
            readout = Readout(
                self.plan.coding,
                name=self._names.unique("readout"),
                dtype=x.dtype,
            )
            self._read[x] = readout(self.tensors[x])
        return self._read[x]

    def _end(self, x: Tensor):
        """An output, made by a layer of its name, which losses and metrics use."""
        tensor = self.decoded(x)
        for step in self.plan.steps:
            if isinstance(step.form, forms.Dropped) and x in step.node.outputs:
                end = keras.layers.Identity(name=step.node.name, dtype=x.dtype)
                return end(tensor)
        return tensor

    def _difference(self, wrapper, node, homogeneous):
        """Applies a copy of the operation to the signal so far, and sends changes."""
        layer = wrapper(
            self._copies.own(node),
            call_arguments(node),
            coding=self.plan.coding,
            homogeneous=homogeneous,
            name=node.name,
            dtype=policy(node),
        )
        return layer(self._timed_inputs(node))

    def _neurons(self, node: Node, cell, one_pass: bool):
        """Replaces an activation by a layer of neurons."""
        (current,) = node.inputs
        name, dtype = node.name, policy(node)
        if one_pass:
            layer = OnePassSpiking(cell, self.plan.coding, name=name, dtype=dtype)
            return layer(self.tensors[current])
        currents = self.over_time(current)
        if self.plan.bias_correction:
            own = self._names.unique(f"{name}_bias")
            currents = BiasCorrection(name, name=own, dtype=dtype)(currents)
        return Spiking(cell, name=name, dtype=dtype)(currents)

    def _over_time(self, wrapper, node, tensor_of=None, **arguments):
        """Calls a copy of the operation, in `wrapper`, on inputs with a time axis."""
        given = call_arguments(node)
        # Calls with arguments of their own have a wrapper each, of one copy.
        key = (wrapper, id(node.operation), given and node.name)
        if key not in self._wrappers:
            operation = self._copies.own(node)
            self._wrappers[key] = wrapper(
                operation,
                given,
                name=node.name,
                dtype=policy(node),
                **arguments,
            )
        return self._wrappers[key](self._timed_inputs(node, tensor_of))

    def _timed_inputs(self, node, tensor_of=None):
        inputs = [(tensor_of or self.over_time)(x) for x in node.inputs]
        return inputs if len(inputs) > 1 else inputs[0]


def policy(node: Node) -> Any:
    """The dtype policy, or the dtype, in which the node computes."""
    is_layer = isinstance(node.operation, keras.layers.Layer)
    return policy_of(node.operation) if is_layer else node.outputs[0].dtype


def call_arguments(node: Node) -> dict | None:
    """The `arguments` of a `PerStep` that calls its operation as `node` does."""
    if node.args and not node.kwargs and len(node.args) == 1:
        (first,) = node.args
        if isinstance(first, Tensor):
            return None
        if isinstance(first, list) and all(isinstance(x, Tensor) for x in first):
            return None if len(first) > 1 else _slots(node)
    return _slots(node)


def _slots(node):
    numbers = iter(range(len(node.inputs)))
    args, kwargs = tree.map_structure(
        lambda x: f"tensor:{next(numbers)}" if isinstance(x, Tensor) else x,
        (list(node.args), node.kwargs),
    )
    return {"args": args, "kwargs": kwargs}
