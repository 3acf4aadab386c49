"""Functions of images and of sequences; linear algebra; losses; Fourier transforms."""

import numpy as np
from keras import ops

from .case import called, every, use

IMAGE = ((4, 4, 2),)
LINE = ((4, 2),)
COLOURS = ((4, 4, 3),)
SQUARE = ((4, 4),)
LAST = "channels_last"


def cases():
    """All cases of this module."""
    return [*_windows(), *_images(), *_algebra(), *_losses(), *_waves()]


def _kernel(*shape):
    """Multiples of 1/4."""
    numbers = np.random.default_rng(0).integers(-4, 5, shape) / 4
    return numbers.astype("float32")


def _windows():
    line, image, volume = LINE, IMAGE, ((2, 2, 2, 2),)
    odd = ((4, 4, 3),)
    pools = ("average_pool", "max_pool")
    return [
        *(use(f"ops.{p}", (2,), (2,), shapes=line, exact=True) for p in pools),
        *(use(f"ops.{p}", 2, 1, "same", shapes=image) for p in pools),
        *(use(f"ops.{p}", (2, 4), shapes=image, exact=True) for p in pools),
        *(use(f"ops.{p}", 2, shapes=volume, exact=True) for p in pools),
        *(
            use(f"ops.adaptive_{p}", size, shapes=shapes, exact=size == (2, 2))
            for p in pools
            for size, shapes in (((2, 2), image), ((3, 3), image), ((2,), line))
        ),
        use("ops.conv", _kernel(2, 2, 3), shapes=line, exact=True),
        use("ops.conv", _kernel(3, 3, 2, 2), 2, "same", shapes=image, exact=True),
        use("ops.conv", _kernel(2, 2, 2, 2), dilation_rate=2, shapes=image, exact=True),
        use("ops.conv", _kernel(2, 2, 2, 2, 1), shapes=volume, exact=True),
        use("ops.depthwise_conv", _kernel(2, 2, 2, 1), shapes=image, exact=True),
        use("ops.depthwise_conv", _kernel(2, 2, 2), 1, "same", shapes=line, exact=True),
        use(
            "ops.separable_conv",
            _kernel(2, 2, 2, 1),
            _kernel(1, 1, 2, 3),
            shapes=image,
            exact=True,
        ),
        use(
            "ops.conv_transpose",
            _kernel(2, 2, 3, 2),
            2,
            data_format=LAST,
            shapes=image,
            exact=True,
        ),
        use(
            "ops.conv_transpose",
            _kernel(3, 3, 2),
            1,
            "same",
            data_format=LAST,
            shapes=line,
            exact=True,
        ),
        use("ops.unfold", 2, padding=1, shapes=odd, exact=True),
    ]


def _images():
    name = "ops.image."
    shift = np.array([1, 0, 1, 0, 1, 0, 0, 0], "float32")
    turn = np.array([0.9, 0.1, 0.2, -0.1, 0.9, 0.3, 0, 0], "float32")
    corners = np.array([[0, 0], [0, 3], [3, 0], [3, 3]], "float32")
    moved = np.array([[0, 0.5], [0, 3], [2.5, 0], [3, 3]], "float32")
    places = np.stack(np.meshgrid([0.0], [0.5, 1.5], [1.0, 2.0], [0.0], indexing="ij"))
    sizes = [(2, 2), (3, 5), (8, 8)]
    kinds = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
    crop = {"top_cropping": 1, "left_cropping": 1}
    pad = {"top_padding": 1, "left_padding": 2}
    return [
        *every(name + "resize", {"size": sizes, "interpolation": kinds}, IMAGE),
        use(name + "resize", (2, 2), antialias=True, shapes=IMAGE),
        use(name + "resize", (2, 4), crop_to_aspect_ratio=True, shapes=IMAGE),
        use(name + "resize", (2, 4), pad_to_aspect_ratio=True, shapes=IMAGE),
        use(
            name + "resize",
            (2, 4),
            pad_to_aspect_ratio=True,
            fill_value=0.5,
            shapes=IMAGE,
        ),
        use(name + "resize", (2, 2), shapes=LINE),
        use(name + "extract_patches", (2, 2), shapes=IMAGE, exact=True),
        use(
            name + "extract_patches",
            (2, 2),
            1,
            padding="same",
            shapes=IMAGE,
            exact=True,
        ),
        use(name + "extract_patches", (2, 2), shapes=LINE, exact=True),
        use(name + "extract_patches_3d", (2, 2, 2), shapes=((2, 2, 2, 1),), exact=True),
        use(
            name + "crop_images",
            target_height=2,
            target_width=2,
            shapes=IMAGE,
            exact=True,
            **crop,
        ),
        use(
            name + "crop_images",
            target_height=2,
            target_width=1,
            shapes=LINE,
            exact=True,
            **crop,
        ),
        use(
            name + "pad_images",
            target_height=6,
            target_width=6,
            shapes=IMAGE,
            exact=True,
            **pad,
        ),
        *every(
            name + "affine_transform",
            {"interpolation": ["nearest", "bilinear"]},
            IMAGE,
            transform=turn,
        ),
        use(name + "affine_transform", shift, shapes=IMAGE),
        *every(
            name + "affine_transform",
            {"fill_mode": ["constant", "nearest", "wrap", "reflect"]},
            IMAGE,
            transform=turn,
        ),
        use(name + "affine_transform", turn, fill_value=0.5, shapes=IMAGE),
        use(name + "affine_transform", turn, shapes=LINE),
        use(name + "perspective_transform", corners, moved, shapes=IMAGE),
        use(name + "perspective_transform", corners, moved, shapes=LINE),
        use(name + "gaussian_blur", shapes=IMAGE),
        use(name + "gaussian_blur", shapes=LINE),
        use(name + "elastic_transform", seed=1, shapes=IMAGE),
        use(name + "map_coordinates", places, 1, shapes=((4, 4, 2),)),
        called(
            name + "map_coordinates",
            "a constant image, places the signal",
            lambda x: ops.image.map_coordinates(
                np.arange(16.0, dtype="float32").reshape(4, 4),
                ops.stack([x, x], axis=0),
                1,
            ),
        ),
        called(
            name + "scale_and_translate",
            "half the size",
            lambda x: ops.image.scale_and_translate(
                x,
                (3, 2, 2, 2),
                np.array([0.5, 0.5], "float32"),
                np.zeros(2, "float32"),
                (1, 2),
                "linear",
            ),
            *IMAGE,
        ),
        use(name + "sobel_edges", shapes=IMAGE, exact=True),
        use(name + "rgb_to_grayscale", shapes=COLOURS),
        use(name + "rgb_to_grayscale", shapes=((4, 3),)),
        use(name + "rgb_to_hsv", shapes=COLOURS),
        use(name + "hsv_to_rgb", shapes=COLOURS),
        use(name + "ssim", filter_size=3, shapes=IMAGE * 2),
    ]


def _algebra():
    eye = np.eye(4, dtype="float32")

    def positive(function):
        """Of a matrix that has an inverse."""
        return lambda x: function(
            ops.matmul(x, ops.swapaxes(x, 1, 2)) + 2 * np.eye(4, dtype="float32")
        )

    words = "x xᵀ + 2"
    of_positive = (
        *("cholesky", "cholesky_inverse", "det", "eigh", "inv", "logdet", "lu_factor"),
        *("matrix_rank", "pinv", "qr", "slogdet", "svd"),
    )
    return [
        *(
            called(f"ops.{n}", words, positive(getattr(ops, n)), *SQUARE)
            for n in of_positive
        ),
        called("ops.eig", words, positive(lambda x: ops.eig(x)[0]), *SQUARE),
        called(
            "ops.solve",
            "x xᵀ + 2, 1",
            positive(lambda x: ops.solve(x, x[..., :1])),
            *SQUARE,
        ),
        called(
            "ops.solve_triangular",
            "x xᵀ + 2, 1",
            positive(lambda x: ops.solve_triangular(x, x[..., :1])),
            *SQUARE,
        ),
        called("ops.lstsq", "constant, x", lambda x: ops.lstsq(eye, x), (4,)),
    ]


def _losses():
    name = "ops."
    full = np.array([4, 4, 4], "int32")
    return [
        called(
            name + "binary_crossentropy",
            "sigmoid(x), sigmoid(y)",
            lambda x, y: ops.binary_crossentropy(ops.sigmoid(x), ops.sigmoid(y)),
            (4,),
            (4,),
        ),
        called(
            name + "categorical_crossentropy",
            "softmax(x), softmax(y)",
            lambda x, y: ops.categorical_crossentropy(ops.softmax(x), ops.softmax(y)),
            (4,),
            (4,),
        ),
        called(
            name + "sparse_categorical_crossentropy",
            "argmax(x), softmax(y)",
            lambda x, y: ops.sparse_categorical_crossentropy(
                ops.argmax(x, axis=-1), ops.softmax(y)
            ),
            (4,),
            (4,),
        ),
        use(name + "psnr", 1.0, shapes=((4,), (4,))),
        called(
            name + "ctc_loss",
            "labels made of the signal",
            lambda x: ops.ctc_loss(
                ops.cast(x[:, 0, :1] * 0 + 1, "int32"),
                x,
                ops.cast(x[:, 0, 0] * 0 + 1, "int32"),
                ops.cast(x[:, 0, 0] * 0 + 4, "int32"),
            ),
            (4, 3),
        ),
        called(
            name + "ctc_decode",
            "constant lengths",
            lambda x: ops.ctc_decode(x, full),
            (4, 3),
        ),
    ]


def _waves():
    pair = ((4,), (4,))
    window = {"sequence_length": 4, "sequence_stride": 2, "fft_length": 4}
    return [
        called("ops.fft", "x, y", lambda x, y: ops.fft((x, y)), *pair),
        called("ops.fft2", "x, y", lambda x, y: ops.fft2((x, y)), *SQUARE * 2),
        called("ops.ifft2", "x, y", lambda x, y: ops.ifft2((x, y)), *SQUARE * 2),
        use("ops.rfft"),
        use("ops.rfft", fft_length=8),
        called("ops.irfft", "x, y", lambda x, y: ops.irfft((x, y)), (3,), (3,)),
        use("ops.stft", shapes=((8,),), **window),
        called(
            "ops.istft",
            "stft(x)",
            lambda x: ops.istft(ops.stft(x, **window), **window),
            (8,),
        ),
    ]
