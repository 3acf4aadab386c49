r"""3x3 convolutions with fewer multiplications: Winograd's F(2 x 2, 3 x 3).

$$Y = A^T \left[ (G g G^T) \odot (B^T d B) \right] A$$

computes 2 x 2 outputs from a tile d of 4 x 4 inputs and a kernel g with 16
multiplications per pair of channels; the plain sum needs 36. All entries of A, B and
G are 0, 1, -1 or 1/2, so the result is exact on dyadic numbers.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
"""

import keras
import numpy as np
from keras import ops

from snn_keras.backend import backend
from snn_keras.typing import Array

# It is faster if the products cost more than moving the tiles (16 numbers for 4
# pixels) and transforming the kernel. Measurements are in docs/performance.md.
CHANNELS = 128
TILE_BYTES = 12 * 2**20
POSITIONS = 64
POSITIONS_OF_RUN = 128


def pays(layer: keras.Operation, shape: tuple[int, ...], passes: int) -> bool:
    """Whether an operation is a convolution that this algorithm computes faster.

    Args:
        layer: The operation that is applied at every step.
        shape: `(samples of all steps of a pass, height, width, channels)`.
        passes: Number of passes of the run, which share the transformed kernel.
    """
    if not _applies(layer) or None in shape:
        return False
    samples, height, width, channels = shape
    lost = 0 if layer.padding == "same" else 2
    tiles = samples * -(-(height - lost) // 2) * -(-(width - lost) // 2)
    small = 16 * tiles * channels * 4 <= TILE_BYTES
    wide = min(channels, layer.filters) >= CHANNELS
    many = tiles >= POSITIONS and tiles * passes >= POSITIONS_OF_RUN
    return many and (wide or small)


def _applies(layer):
    return (
        type(layer) is keras.layers.Conv2D
        and layer.kernel_size == (3, 3)
        and layer.strides == layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.compute_dtype in ("float32", "float64")
        and backend.on_cpu()  # the libraries of other devices use it themselves
    )


# G; and G applied to rows and columns at once, (16, 9).
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OF_KERNEL = np.kron(_G, _G)


def transformed(kernel: Array) -> Array:
    """$G g G^T$, `(16, in, out)`, for a kernel `(3, 3, in, out)`."""
    _, _, inside, outside = kernel.shape
    matrix = ops.cast(_OF_KERNEL, kernel.dtype)
    pairs = ops.matmul(matrix, ops.reshape(kernel, (9, inside * outside)))
    return ops.reshape(pairs, (16, inside, outside))


def convolve(layer: keras.layers.Layer, kernel: Array, x: Array) -> Array:
    """The result of `layer(x)`, from the transformed kernel."""
    _, height, width, channels = x.shape
    edge = 1 if layer.padding == "same" else 0
    height, width = height - 2 + 2 * edge, width - 2 + 2 * edge  # of the output
    down, right = -(-height // 2), -(-width // 2)  # tiles
    x = ops.pad(
        x,
        [
            [0, 0],
            [edge, edge + 2 * down - height],
            [edge, edge + 2 * right - width],
            [0, 0],
        ],
    )

    def tile(i, j):
        rows, columns = slice(i, i + 2 * down - 1, 2), slice(j, j + 2 * right - 1, 2)
        return x[:, rows, columns, :]

    def into(d):
        return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]

    def out_of(m):
        return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]

    columns = [into([tile(i, j) for i in range(4)]) for j in range(4)]
    tiles = [v for row in zip(*columns, strict=True) for v in into(row)]
    tiles = ops.stack([ops.reshape(v, (-1, channels)) for v in tiles])
    products = ops.reshape(
        ops.matmul(tiles, kernel), (4, 4, -1, down, right, layer.filters)
    )
    columns = [out_of([products[i, j] for i in range(4)]) for j in range(4)]
    pixels = [ops.stack(out_of(row), 3) for row in zip(*columns, strict=True)]
    y = ops.reshape(ops.stack(pixels, axis=2), (-1, 2 * down, 2 * right, layer.filters))
    y = y[:, :height, :width]
    return layer.activation(y + layer.bias.value if layer.use_bias else y)
