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

# Names, cases, and forms of cases, of which Keras does not build or run every network.
_NOWHERE = {
    "layers.RandomCrop": "crops in training alone, and tells another shape",
    "layers.RMSNormalization(axis=1)": "fails",
    "layers.Equalization((0, 1))": "fails on symbolic tensors",
    "ops.where(x > 0.25)": "tells another number of outputs",
    "ops.histogram": "takes vectors alone",
    "ops.corrcoef": "takes no open batch",
    "ops.bincount": "tells no shape",
    "ops.split(indices_or_sections=2, axis=0)": "takes no odd batch",
    "ops.split(indices_or_sections=[1, 3], axis=0)": "tells a wrong shape",
    "ops.correlate(constant)": "takes vectors alone",
    "ops.nonzero(), time_distributed": "has no samples",
    "ops.cond(any(x > 1))": "fails on symbolic tensors",
    "ops.custom_gradient": "takes no symbolic tensor",
    "ops.lstsq(constant, x)": "takes no open batch",
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
        "layers.MelSpectrogram": "fails in float64",
        "ops.view_as_complex": "fails",
        "ops.view_as_real": "fails",
        "ops.searchsorted(constant, x)": "fails in float64",
        "ops.norm(axis=None)": "fails",
        "ops.softmax(axis=(1, 2))": "fails",
        "ops.cdist(array (2, 4))": "fails in float64",
        "ops.scan(over samples)": "fails",
        "ops.lu_factor": "fails",
        "ops.eig": "tells a wrong dtype",
        "layers.RandAugment(value_range=(0, 1)), composed": "fails in float64",
    },
    "jax": {
        **_NOWHERE,
        "ops.cast(float64)": "has no such type, by default",
        "layers.StringLookup": "holds no texts",
        "layers.TextVectorization": "holds no texts",
        "ops.quantile": "fails",
        "ops.norm": "fails",
        "ops.repeat([1, 2, 0, 1], axis=1)": "fails",
        "ops.cond(constant)": "fails on symbolic tensors",
        "ops.average_pool": "needs strides",
        "ops.max_pool": "needs strides",
        "ops.image.affine_transform": "fails",
        "ops.image.perspective_transform": "fails",
        "ops.cholesky_inverse": "fails",
        "ops.eig": "tells a wrong dtype",
    },
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
