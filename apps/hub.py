"""Tiny random networks of KerasHub's families, for `apps.networks` and the tests."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from snn_keras.graph import trace

_LENGTH, _WORDS, _SIZE = 6, 20, 16
_TEXT = {"vocabulary_size": _WORDS, "num_layers": 2, "hidden_dim": 8}
_ENCODER = {**_TEXT, "num_heads": 2, "intermediate_dim": 16}
_LONG = {**_ENCODER, "max_sequence_length": _LENGTH}
_GROUPED = {
    **_TEXT,
    "intermediate_dim": 16,
    "num_query_heads": 2,
    "num_key_value_heads": 1,
}
_IMAGE = {"image_shape": (_SIZE, _SIZE, 3)}
_VISION = {
    **_IMAGE,
    "patch_size": 4,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
}
_STACK = {"stackwise_num_filters": [64, 64], "stackwise_num_blocks": [1, 1]}
# The families, and the arguments of their backbones.
FAMILIES: dict[str, dict[str, Any]] = {
    "Albert": {**_LONG, "embedding_dim": 4},
    "Bart": _LONG,
    "Bert": _LONG,
    "Bloom": _ENCODER,
    "DebertaV3": {**_LONG, "bucket_size": 4},
    "DistilBert": _LONG,
    "Electra": {
        **{k: v for k, v in _LONG.items() if k != "vocabulary_size"},
        "vocab_size": _WORDS,
        "embedding_dim": 4,
    },
    "FNet": {k: v for k, v in _LONG.items() if k != "num_heads"},
    "ESM": _LONG,
    "Falcon": {**_TEXT, "num_attention_heads": 2, "intermediate_dim": 16},
    "GPT2": _LONG,
    "GPTNeoX": {**_LONG, "rotary_percentage": 0.5},
    "Gemma": {**_GROUPED, "head_dim": 4},
    "Llama": _GROUPED,
    "Mistral": {**_GROUPED, "sliding_window": 4},
    "OPT": _LONG,
    "Phi3": {
        **_GROUPED,
        "max_sequence_length": _LENGTH,
        "pretraining_sequence_length": _LENGTH,
    },
    "Qwen": _GROUPED,
    "Qwen3": {**_GROUPED, "head_dim": 4},
    "Roberta": _LONG,
    "RoformerV2": {**_ENCODER, "max_wavelength": 100, "head_size": 4},
    "T5": _ENCODER,
    "XLMRoberta": _LONG,
    "XLNet": _ENCODER,
    "DeiT": {**_VISION, "intermediate_dim": 16},
    "DenseNet": {
        **_IMAGE,
        "stackwise_num_repeats": [1, 1],
        "compression_ratio": 0.5,
        "growth_rate": 4,
    },
    "DINOV2": {**_VISION, "intermediate_dim": 16},
    "EfficientNet": {
        "input_shape": (_SIZE, _SIZE, 3),
        "stackwise_width_coefficients": [1.0, 1.0],
        "stackwise_depth_coefficients": [1.0, 1.0],
        "stackwise_kernel_sizes": [3, 3],
        "stackwise_num_repeats": [1, 1],
        "stackwise_input_filters": [8, 8],
        "stackwise_output_filters": [8, 8],
        "stackwise_expansion_ratios": [1, 2],
        "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
        "stackwise_strides": [1, 2],
        "stackwise_block_types": ["v1", "v1"],
        "num_features": 16,
    },
    "MiT": {
        **_IMAGE,
        "layerwise_depths": [1, 1],
        "num_layers": 2,
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [2, 1],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [3, 3],
        "layerwise_strides": [2, 2],
        "hidden_dims": [4, 8],
    },
    "ResNet": {
        **_IMAGE,
        **_STACK,
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [3],
        "stackwise_num_strides": [1, 2],
        "block_type": "basic_block",
    },
    "SwinTransformer": {
        **_IMAGE,
        "embed_dim": 4,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 2,
        "patch_size": 2,
    },
    "VGG": {
        **_IMAGE,
        "stackwise_num_repeats": [1, 1],
        "stackwise_num_filters": [4, 8],
    },
    "ViT": {**_VISION, "mlp_dim": 16},
    "Xception": {
        **_IMAGE,
        "stackwise_conv_filters": [[4, 8], [8, 8]],
        "stackwise_pooling": [True, False],
    },
}
REMEDY = (
    "KerasHub is not here. Remedy: pip install keras-hub; "
    "its tokenizers are not needed."
)


def is_here() -> bool:
    """Whether KerasHub can be imported."""
    try:
        import keras_hub  # noqa: F401
    except ImportError:
        return False
    return True


def backbone(family: str) -> keras.Model:
    """A tiny network of a family, with random weights."""
    import keras_hub

    kind: Callable = getattr(keras_hub.models, f"{family}Backbone")
    keras.utils.set_random_seed(0)
    model = kind(**FAMILIES[family])
    is_open = any(None in x.shape[1:] for x in model.inputs)
    return of_length(model) if is_open else model


def of_length(model: keras.Model, length: int = _LENGTH) -> keras.Model:
    """The network for texts of a known length, with the same layers."""
    inputs = {
        x.name: keras.Input(
            [n or length for n in x.shape[1:]], dtype=x.dtype, name=x.name
        )
        for x in model.inputs
    }
    given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    return keras.Model(given, trace(model).run(given), name=model.name)


def drawn(model: keras.Model, samples: int = 4) -> Any:
    """Random inputs of a network: images, words, and what belongs to them."""
    rng = np.random.default_rng(0)
    return keras.tree.map_structure(lambda x: _drawn(x, samples, rng), model.input)


def _drawn(x, samples, rng):
    shape = (samples, *(n or _LENGTH for n in x.shape[1:]))
    if "padding" in x.name:
        return np.arange(_LENGTH)[None] < rng.integers(3, _LENGTH + 1, (samples, 1))
    if "int" in x.dtype:
        most = 2 if "segment" in x.name else _WORDS
        return rng.integers(0, most, shape).astype("int32")
    return rng.normal(size=shape).astype("float32")
