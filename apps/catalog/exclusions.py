"""Names that are not in the catalog, and cases of which Keras has no network."""

import inspect

import keras

_MAKES = "makes a tensor of numbers, and takes none"
_ASKS = "tells about a tensor, or converts it, outside of any graph"
_BASE = "a base class, or no layer"
_FOREIGN = "wraps what another library computes, which no graph of Keras shows"
_BOXES = "takes bounding boxes"

EXCLUDED = {
    **dict.fromkeys(
        [
            *("arange", "bartlett", "blackman", "empty", "eye", "full", "geomspace"),
            *("hamming", "hanning", "identity", "kaiser", "linspace", "logspace"),
            *("ones", "tri", "zeros"),
        ],
        _MAKES,
    ),
    **dict.fromkeys(
        ["convert_to_numpy", "dtype", "is_tensor", "ndim", "shape", "size"], _ASKS
    ),
    **dict.fromkeys(
        [
            *("Input", "InputLayer", "InputSpec", "Layer", "Wrapper"),
            *("deserialize", "get", "serialize"),
        ],
        _BASE,
    ),
    **dict.fromkeys(
        ["FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"], _FOREIGN
    ),
    "MaxNumBoundingBoxes": _BOXES,
}

# Names, and cases, of which Keras itself does not build or run every network.
_NOWHERE = {
    "layers.RandomCrop": "crops in training alone, and tells another shape",
    "activations.hard_silu()": "takes no symbolic tensor",
    "activations.hard_swish()": "takes no symbolic tensor",
    "activations.mish()": "takes no symbolic tensor",
    "activations.sparsemax()": "takes no symbolic tensor",
    "activations.sparsemax(axis=-1)": "takes no symbolic tensor",
    "ops.adaptive_average_pool": "tells a wrong shape",
    "ops.adaptive_max_pool": "tells a wrong shape",
    "ops.append(axis=0)": "takes no open batch",
    "ops.conv_transpose": "does not fill in data_format",
    "ops.meshgrid": "takes vectors alone",
    "ops.polar()": "tells a wrong dtype",
    "ops.rearrange": "takes no open batch",
    "ops.vander": "takes vectors alone",
    "ops.vectorize": "takes no symbolic tensor",
}
LACKING = {
    "tensorflow": {
        **_NOWHERE,
        "layers.Equalization((0, 1))": "fails on symbolic tensors of float64",
        "layers.MelSpectrogram": "fails in float64",
        "ops.view_as_complex": "fails",
        "ops.view_as_real": "fails",
        "layers.RMSNormalization(axis=1)": "fails",
        "ops.lu_factor": "fails",
        "ops.eig": "tells a wrong dtype",
    },
    "jax": {**_NOWHERE, "ops.cast(float64)": "has no such type, by default"},
}


def public_names() -> list:
    """The public names of layers, activations and operations, with their module."""
    modules = {
        "layers": keras.layers,
        "activations": keras.activations,
        "ops": keras.ops,
        "ops.image": keras.ops.image,
    }
    return [
        f"{prefix}.{name}"
        for prefix, module in modules.items()
        for name in dir(module)
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    ]
