"""The layers of keras.layers that compute with numbers as they are."""

from keras import layers, ops

from .case import called, every, use

LINE, IMAGE, VOLUME = ((4, 2),), ((4, 4, 2),), ((2, 2, 2, 2),)
BY_RANK = {1: LINE, 2: IMAGE, 3: VOLUME}
COLOURS = ((4, 4, 3),)
PAIR = ((4, 2), (4, 2))


def cases():
    """All cases of this module."""
    return [
        *_linear(),
        *_pooling(),
        *_moves(),
        *_merges(),
        *_activations(),
        *_normalization(),
        *_regularization(),
    ]


def _linear():
    found = [
        use("layers.Dense", 3, exact=True),
        use("layers.Dense", 3, use_bias=False, shapes=LINE, exact=True),
        use("layers.Dense", 3, activation="relu", exact=True),
        use("layers.Dense", 3, activation="tanh"),
        use("layers.Dense", 3, lora_rank=1),
        use(
            "layers.EinsumDense",
            "abc,cd->abd",
            (None, 3),
            bias_axes="d",
            shapes=LINE,
            exact=True,
        ),
        use("layers.EinsumDense", "abc,bcd->ad", 3, shapes=LINE, exact=True),
        use("layers.EinsumDense", "ab,bc->ac", 3, activation="relu", exact=True),
        use("layers.SeparableConv1D", 3, 2, shapes=LINE, exact=True),
        use("layers.SeparableConv2D", 3, 2, 2, "same", shapes=IMAGE, exact=True),
        use("layers.DepthwiseConv1D", 2, depth_multiplier=2, shapes=LINE, exact=True),
        use("layers.DepthwiseConv2D", 2, padding="same", shapes=IMAGE, exact=True),
        use("layers.Conv1D", 2, 2, padding="causal", shapes=LINE, exact=True),
        use("layers.Conv2D", 2, 2, groups=2, use_bias=False, shapes=IMAGE, exact=True),
        use("layers.Conv2D", 2, 2, activation="relu", shapes=IMAGE, exact=True),
        use("layers.Conv2D", 2, 2, dilation_rate=2, shapes=IMAGE, exact=True),
        use(
            "layers.Conv2DTranspose",
            2,
            2,
            2,
            output_padding=1,
            shapes=IMAGE,
            exact=True,
        ),
    ]
    for rank, shapes in BY_RANK.items():
        for name in ("Conv", "Convolution"):
            found.append(use(f"layers.{name}{rank}D", 3, 2, shapes=shapes, exact=True))
            found.append(
                use(
                    f"layers.{name}{rank}DTranspose",
                    2,
                    2,
                    padding="same",
                    shapes=shapes,
                    exact=True,
                )
            )
        found.append(
            use(f"layers.Conv{rank}D", 2, 2, 2, "same", shapes=shapes, exact=True)
        )
        if rank < 3:
            found.append(
                use(
                    f"layers.SeparableConvolution{rank}D",
                    3,
                    2,
                    shapes=shapes,
                    exact=True,
                )
            )
    return found


def _pooling():
    found = []
    for rank, shapes in BY_RANK.items():
        for name in ("AveragePooling", "AvgPool", "MaxPooling", "MaxPool"):
            over_all = {"keepdims": [False, True]}
            found += [
                use(f"layers.{name}{rank}D", 2, shapes=shapes, exact=True),
                use(f"layers.{name}{rank}D", 2, 1, "same", shapes=shapes, exact=True),
                *every(f"layers.Global{name}{rank}D", over_all, shapes, exact=True),
            ]
        for name in ("AdaptiveAveragePooling", "AdaptiveMaxPooling"):
            sizes = {"output_size": [2, 3]}
            shapes = (((4,) * rank + (1,)),)
            found += every(f"layers.{name}{rank}D", sizes, shapes, exact=True)
    return found


def _moves():
    found = [
        use("layers.Flatten", shapes=LINE, exact=True),
        use("layers.Flatten", "channels_first", shapes=IMAGE, exact=True),
        use("layers.Reshape", (2, 4), shapes=LINE, exact=True),
        use("layers.Reshape", (-1,), shapes=LINE, exact=True),
        use("layers.Permute", (2, 1), shapes=LINE, exact=True),
        use("layers.RepeatVector", 2, exact=True),
        use("layers.ZeroPadding1D", (1, 2), shapes=LINE, exact=True),
        use("layers.ZeroPadding2D", ((1, 0), (0, 2)), shapes=IMAGE, exact=True),
        use("layers.ZeroPadding3D", 1, shapes=VOLUME, exact=True),
        use("layers.Cropping1D", (1, 2), shapes=LINE, exact=True),
        use("layers.Cropping2D", ((1, 0), (0, 2)), shapes=IMAGE, exact=True),
        use("layers.Cropping3D", ((0, 1),) * 3, shapes=VOLUME, exact=True),
        use("layers.UpSampling1D", 2, shapes=LINE, exact=True),
        use("layers.UpSampling2D", (1, 2), shapes=IMAGE, exact=True),
        use("layers.UpSampling3D", 2, shapes=VOLUME, exact=True),
    ]
    kinds = ["bilinear", "bicubic", "lanczos3", "lanczos5"]
    found += every("layers.UpSampling2D", {"interpolation": kinds}, IMAGE, size=2)
    return found


def _merges():
    found = []
    linear = (
        "Add",
        "Subtract",
        "Average",
        "Maximum",
        "Minimum",
        "Multiply",
        "Concatenate",
    )
    for name in linear:
        for called_name in (name, name.lower()):
            found.append(
                use(f"layers.{called_name}", shapes=PAIR, listed=True, exact=True)
            )
        if name not in ("Subtract", "Concatenate"):
            found.append(
                use(f"layers.{name}", shapes=((4, 2), (2,)), listed=True, exact=True)
            )
    three = PAIR + LINE
    return [
        *found,
        use("layers.Add", shapes=three, listed=True, exact=True),
        use("layers.Average", shapes=three, listed=True),
        use("layers.Multiply", shapes=three, listed=True),
        use("layers.Concatenate", axis=1, shapes=PAIR, listed=True, exact=True),
        use("layers.Concatenate", axis=0, shapes=PAIR, listed=True, exact=True),
        use("layers.Dot", axes=1, shapes=PAIR, listed=True, exact=True),
        use("layers.Dot", axes=-1, normalize=True, shapes=((4,), (4,)), listed=True),
        use("layers.dot", axes=-1, shapes=((4,), (4,)), listed=True, exact=True),
        called("layers.Add", "x, x", lambda x: layers.Add()([x, x]), exact=True),
        called(
            "layers.Multiply", "x, x", lambda x: layers.Multiply()([x, x]), exact=True
        ),
    ]


def _activations():
    return [
        use("layers.Activation", "relu", exact=True),
        use("layers.Activation", "sigmoid"),
        use("layers.Activation", "softmax", shapes=LINE),
        use("layers.Activation", "linear", exact=True),
        use("layers.Activation", ops.square, exact=True),
        use("layers.ReLU", exact=True),
        use("layers.ReLU", max_value=1.0, exact=True),
        use("layers.ReLU", negative_slope=0.25, exact=True),
        use("layers.ReLU", 2.0, 0.25, 0.5, exact=True),
        use("layers.LeakyReLU"),
        use("layers.LeakyReLU", 0.25, exact=True),
        use("layers.PReLU", exact=True),
        use("layers.PReLU", shared_axes=[1], shapes=LINE, exact=True),
        use("layers.ELU"),
        use("layers.ELU", 0.5),
        use("layers.Softmax"),
        *every("layers.Softmax", {"axis": [0, 1, -1, (1, 2)]}, LINE),
    ]


def _normalization():
    axes = [1, -1]
    return [
        use("layers.BatchNormalization"),
        use("layers.BatchNormalization", axis=1, shapes=LINE),
        use("layers.BatchNormalization", center=False, scale=False, shapes=IMAGE),
        use("layers.BatchNormalization", renorm=True),
        *every("layers.LayerNormalization", {"axis": [*axes, [1, 2]]}, LINE),
        use("layers.LayerNormalization", scale=False, center=False),
        *every("layers.RMSNormalization", {"axis": axes}, LINE),
        *every("layers.UnitNormalization", {"axis": [0, *axes]}, LINE),
        use("layers.GroupNormalization", 2, shapes=LINE),
        use("layers.GroupNormalization", -1, shapes=LINE),
        use("layers.GroupNormalization", 1, axis=1, shapes=IMAGE),
        use("layers.Normalization", mean=0.25, variance=4.0),
        use(
            "layers.Normalization", mean=[0.25, 0.5], variance=[4.0, 0.25], shapes=LINE
        ),
        use("layers.Normalization", mean=0.25, variance=4.0, invert=True),
        use("layers.Normalization", axis=None, mean=0.25, variance=4.0, shapes=LINE),
        use("layers.Rescaling", 0.5, exact=True),
        use("layers.Rescaling", 0.5, 0.25, exact=True),
        use("layers.Rescaling", [0.5, 2.0], [0.25, 0.0], shapes=LINE, exact=True),
    ]


def _regularization():
    found = [
        use("layers.Dropout", 0.5, exact=True),
        use("layers.Dropout", 0.5, noise_shape=(None, 1), exact=True),
        use("layers.AlphaDropout", 0.5, exact=True),
        use("layers.GaussianDropout", 0.5, exact=True),
        use("layers.GaussianNoise", 0.5, exact=True),
        use("layers.ActivityRegularization", 0.5, exact=True),
        use("layers.Identity", exact=True),
    ]
    for rank, shapes in BY_RANK.items():
        found.append(
            use(f"layers.SpatialDropout{rank}D", 0.5, shapes=shapes, exact=True)
        )
    return found
