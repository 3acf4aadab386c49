"""The functions of keras.ops whose operations `analysis.energy` counts.

Cases as in `tests.energy_cases`; and those of which no network over time can hold any.
"""

import keras
import numpy as np
from keras import ops

LINE, IMAGE, FLAT = (6, 2), (5, 4, 2), (6,)
# Constants; some of the numbers are 0.
NUMBERS = np.arange(8.0).reshape(4, 2) % 3
MATRIX = np.arange(6.0).reshape(2, 3) - 2
KERNEL = (np.arange(24.0).reshape(2, 2, 2, 3) - 5) / 8
POINTS = (np.arange(12.0).reshape(1, 1, 6, 2) - 3) / 8
TURN = np.array([[1.0, 0.5, -1.0, 0.25, 1.0, 0.0, 0.0, 0.0]])
CORNERS = np.array([[[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]]])

# Of a signal and a constant that holds weights.
WEIGHTS = {
    "matmul": (lambda: lambda x: ops.matmul(x, MATRIX), LINE),
    "dot": (lambda: lambda x: ops.dot(x, MATRIX), LINE),
    "inner": (lambda: lambda x: ops.inner(x, MATRIX.T), LINE),
    "tensordot": (lambda: lambda x: ops.tensordot(x, MATRIX, [[2], [0]]), LINE),
    "einsum": (lambda: lambda x: ops.einsum("abc,cd->adb", x, MATRIX), LINE),
    "kron": (lambda: lambda x: ops.kron(x, MATRIX[None]), LINE),
    "cross": (lambda: lambda x: ops.cross(x, MATRIX[:1]), (5, 3)),
    "conv": (lambda: lambda x: ops.conv(x, KERNEL, padding="same"), IMAGE),
    "depthwise_conv": (lambda: lambda x: ops.depthwise_conv(x, KERNEL), IMAGE),
    "separable_conv": (
        lambda: lambda x: ops.separable_conv(x, KERNEL, POINTS),
        IMAGE,
    ),
}

# Without weights: they hand spikes on.
PASSING = {
    "average_pool": (
        lambda: lambda x: ops.average_pool(x, 2, 2, "same"),
        IMAGE,
    ),
    "average": (lambda: lambda x: ops.average(x, 2, np.array([0.0, 3.0])), LINE),
    "batch_norm": (
        lambda: lambda x: ops.batch_normalization(x, np.ones(2), np.ones(2), -1),
        LINE,
    ),
    "affine": (lambda: lambda x: ops.image.affine_transform(x, TURN), IMAGE),
    "perspective": (
        lambda: lambda x: ops.image.perspective_transform(x, CORNERS, CORNERS[::-1]),
        IMAGE,
    ),
    "blur": (lambda: lambda x: ops.image.gaussian_blur(x, (3, 3)), IMAGE),
    "grayscale": (lambda: lambda x: ops.image.rgb_to_grayscale(x), (3, 2, 3)),
    "sobel": (lambda: lambda x: ops.image.sobel_edges(x), IMAGE),
    "resize": (lambda: lambda x: ops.image.resize(x, (7, 3)), IMAGE),
    "crop": (lambda: lambda x: ops.image.crop_images(x, 1, 0, 1, 1), IMAGE),
    "pad_images": (lambda: lambda x: ops.image.pad_images(x, 1, 0, 1, 1), IMAGE),
    "patches": (lambda: lambda x: ops.image.extract_patches(x, 2), IMAGE),
    "sequences": (lambda: lambda x: ops.extract_sequences(x, 3, 2), FLAT),
    "cast": (lambda: lambda x: ops.cast(x, "float32"), LINE),
    "saturate_cast": (lambda: lambda x: ops.saturate_cast(x, "float32"), LINE),
    "convert": (lambda: ops.convert_to_tensor, LINE),
    "array": (lambda: ops.array, LINE),
    "copy": (lambda: ops.copy, LINE),
    "conjugate": (lambda: ops.conjugate, LINE),
    "real": (lambda: ops.real, LINE),
    "imag": (lambda: lambda x: x + ops.imag(x), LINE),
    "stop_gradient": (lambda: ops.stop_gradient, LINE),
    "deg2rad": (lambda: ops.deg2rad, LINE),
    "rad2deg": (lambda: ops.rad2deg, LINE),
    "full_like": (lambda: lambda x: x + ops.full_like(x, 2.0), LINE),
    "ones_like": (lambda: lambda x: x + ops.ones_like(x), LINE),
    "zeros_like": (lambda: lambda x: x + ops.zeros_like(x), LINE),
    "cumsum": (lambda: lambda x: ops.cumsum(x, 1), LINE),
    "diff": (lambda: lambda x: ops.diff(x, 2, axis=1), LINE),
    "trapezoid": (lambda: lambda x: ops.trapezoid(x, axis=1), LINE),
    "trace": (lambda: lambda x: ops.trace(x, 0, 1, 2), IMAGE),
    "diagonal": (lambda: lambda x: ops.diagonal(x, 0, 1, 2), IMAGE),
    "tril": (lambda: ops.tril, LINE),
    "triu": (lambda: lambda x: ops.triu(x, -1), LINE),
    "divide_no_nan": (lambda: lambda x: ops.divide_no_nan(x, NUMBERS[:2]), (2, 2)),
    "ldexp": (lambda: lambda x: ops.ldexp(x, 2), LINE),
    "take": (lambda: lambda x: ops.take(x, [3, 0, 3], 1), LINE),
    "take_along": (
        lambda: lambda x: ops.take_along_axis(x, np.array([[[1], [0]]]), 1),
        LINE,
    ),
    "where": (
        lambda: lambda x, y: ops.where(NUMBERS[:3] > 0, x, y),
        (3, 2),
        (3, 2),
    ),
    "select": (
        lambda: lambda x, y: ops.select([NUMBERS[:3] > 0], [x], y),
        (3, 2),
        (3, 2),
    ),
    "append": (lambda: lambda x, y: ops.append(x, y, 1), LINE, (3, 2)),
    "dstack": (lambda: lambda x, y: ops.dstack([x, y]), LINE, LINE),
    "hstack": (lambda: lambda x, y: ops.hstack([x, y]), LINE, (3, 2)),
    "split": (lambda: lambda x: ops.stack(ops.split(x, 2, 1), 1), LINE),
    "array_split": (
        lambda: lambda x: ops.concatenate(ops.array_split(x, 4, 1)[::-1], 1),
        LINE,
    ),
    "hsplit": (lambda: lambda x: ops.stack(ops.hsplit(x, 3), 1), LINE),
    "dsplit": (lambda: lambda x: ops.stack(ops.dsplit(x, 2), 1), LINE),
    "unstack": (lambda: lambda x: ops.stack(ops.unstack(x, axis=2), 1), LINE),
    "fliplr": (lambda: ops.fliplr, LINE),
    "rot90": (lambda: lambda x: ops.rot90(x, 1, (1, 2)), LINE),
    "roll": (lambda: lambda x: ops.roll(x, 2, 1), LINE),
    "tile": (lambda: lambda x: ops.tile(x, (1, 2, 3)), LINE),
    "depth_to_space": (lambda: lambda x: ops.depth_to_space(x, 2), (2, 3, 8)),
    "space_to_depth": (lambda: lambda x: ops.space_to_depth(x, 2), (4, 2, 2)),
    "unfold": (lambda: lambda x: ops.unfold(x, 2), (2, 4, 3)),
    "fold": (lambda: lambda x: ops.fold(x, (3, 3), 2), (8, 4)),
    "fft": (lambda: lambda x, y: ops.stack(ops.fft((x, y)), 1), (2, 4), (2, 4)),
    "fft2": (lambda: lambda x, y: ops.stack(ops.fft2((x, y)), 1), (4, 4), (4, 4)),
    "ifft2": (lambda: lambda x, y: ops.stack(ops.ifft2((x, y)), 1), (4, 4), (4, 4)),
    "rfft": (lambda: lambda x: ops.stack(ops.rfft(x), 1), (2, 4)),
    "irfft": (lambda: lambda x, y: ops.irfft((x, y)), (2, 3), (2, 3)),
    "stft": (lambda: lambda x: ops.stack(ops.stft(x, 4, 2, 4), 1), (8,)),
    "istft": (lambda: lambda x, y: ops.istft((x, y), 4, 2, 4), (3, 3), (3, 3)),
    "slice_update": (
        lambda: lambda x, y: ops.slice_update(x, (0, 1, 0), y),
        LINE,
        (3, 2),
    ),
    "add": (lambda: ops.add, LINE, LINE),
    "add number": (lambda: lambda x: x + 0.1, LINE),
    "add array": (lambda: lambda x: ops.add(ops.expand_dims(x, 1), NUMBERS), (2,)),
    "subtract": (lambda: ops.subtract, LINE, LINE),
    "subtract from": (lambda: lambda x: 1.0 - x, LINE),
    "multiply": (lambda: lambda x: x * -3.0, LINE),
    "multiply array": (lambda: lambda x: x[:, :4] * NUMBERS, LINE),
    "multiply wider": (lambda: lambda x: x[:, 1:2] * NUMBERS, LINE),
    "divide": (lambda: lambda x: ops.divide(x, 3.0), LINE),
    "true_divide": (
        lambda: lambda x: ops.true_divide(x, NUMBERS[:2, :] + 1),
        (2, 2),
    ),
    "negative": (lambda: lambda x: -x, LINE),
    "concatenate": (lambda: lambda x, y: ops.concatenate([x, y], 1), LINE, (3, 2)),
    "stack": (lambda: lambda x, y: ops.stack([x, y], axis=2), LINE, LINE),
    "reshape": (lambda: lambda x: ops.reshape(x, (-1, 3, 4)), LINE),
    "transpose": (lambda: lambda x: ops.transpose(x, (0, 3, 1, 2)), IMAGE),
    "squeeze": (lambda: lambda x: ops.squeeze(x, 1), (1, 5)),
    "expand_dims": (lambda: lambda x: ops.expand_dims(x, 1), LINE),
    "getitem": (lambda: lambda x: x[:, 1::2, ..., 0], IMAGE),
    "mean": (lambda: lambda x: ops.mean(x, axis=(1, 3)), IMAGE),
    "mean keepdims": (lambda: lambda x: ops.mean(x, 2, keepdims=True), IMAGE),
    "sum": (lambda: lambda x: ops.sum(x, axis=-1), IMAGE),
    "flip": (lambda: lambda x: ops.flip(x, axis=1), LINE),
    "repeat": (lambda: lambda x: ops.repeat(x, 2, axis=1), LINE),
    "moveaxis": (lambda: lambda x: ops.moveaxis(x, 1, 2), IMAGE),
    "swapaxes": (lambda: lambda x: ops.swapaxes(x, 1, 3), IMAGE),
    "pad": (lambda: lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0))), LINE),
    "pad number": (
        lambda: lambda x: ops.pad(x, ((0, 0), (0, 1), (2, 0)), constant_values=0.1),
        LINE,
    ),
    "pad reflect": (
        lambda: lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0)), "reflect"),
        LINE,
    ),
}

# They mix the samples of a batch, need its size, or do not run in a model of Keras.
IMPOSSIBLE = {
    *("Correlate", "Diag", "Diagflat", "Flipud", "MapCoordinates", "Meshgrid", "Outer"),
    *("Ravel", "ScatterUpdate", "Vdot", "Vsplit", "Vstack"),
    *("BroadcastTo", "Rearrange", "ScaleAndTranslate", "Slice"),
    *("AdaptiveAveragePool", "ConvTranspose"),
}

# One transform for a whole batch: on JAX, Keras wants one for each sample.
if keras.backend.backend() == "jax":
    del PASSING["affine"], PASSING["perspective"]
    IMPOSSIBLE |= {"AffineTransform", "PerspectiveTransform"}
