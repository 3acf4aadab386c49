"""Functions that move, copy, cut and join."""

import numpy as np
from keras import ops

from .case import called, every, use

SHAPE = ((4, 2),)
IMAGE = ((4, 4, 2),)


def cases():
    """All cases of this module."""
    return [*_moves(), *_cuts(), *_joins(), *_picks()]


def _moves():
    return [
        use("ops.array", exact=True),
        use("ops.convert_to_tensor", exact=True),
        use("ops.ravel", exact=True),
        use("ops.reshape", (-1, 2, 2), exact=True),
        use("ops.reshape", (-1, 8), shapes=SHAPE, exact=True),
        use("ops.reshape", (-1, 2), shapes=SHAPE, exact=True),
        use("ops.transpose", exact=True),
        use("ops.transpose", (0, 2, 1), shapes=SHAPE, exact=True),
        use("ops.transpose", (1, 0, 2), shapes=SHAPE, exact=True),
        use("ops.moveaxis", 1, -1, shapes=SHAPE, exact=True),
        use("ops.moveaxis", 0, 1, shapes=SHAPE, exact=True),
        use("ops.swapaxes", 1, 2, shapes=SHAPE, exact=True),
        use("ops.swapaxes", 0, 1, shapes=SHAPE, exact=True),
        use("ops.rearrange", "b h c -> b (c h)", shapes=SHAPE, exact=True),
        use("ops.rearrange", "b h c -> (b h) c", shapes=SHAPE, exact=True),
        *every("ops.flip", {"axis": [None, 0, 1, -1]}, SHAPE, exact=True),
        use("ops.fliplr", shapes=SHAPE, exact=True),
        use("ops.flipud", shapes=SHAPE, exact=True),
        *every("ops.rot90", {"k": [1, 2], "axes": [(0, 1), (1, 2)]}, SHAPE, exact=True),
        *every("ops.roll", {"shift": [1], "axis": [None, 0, 1, -1]}, SHAPE, exact=True),
        use("ops.roll", (1, 1), axis=(1, 2), shapes=SHAPE, exact=True),
        use("ops.roll", (1, 1), axis=(0, 1), shapes=SHAPE, exact=True),
        use("ops.squeeze", -1, shapes=((4, 1),), exact=True),
        use("ops.squeeze", shapes=((4, 1),), exact=True),
        *every("ops.expand_dims", {"axis": [0, 1, -1]}, exact=True),
        use("ops.depth_to_space", 2, shapes=((2, 2, 4),), exact=True),
        use("ops.space_to_depth", 2, shapes=IMAGE, exact=True),
    ]


def _cuts():
    keys = {
        "x[:, 1:3]": lambda x: x[:, 1:3],
        "x[:, ::-1]": lambda x: x[:, ::-1],
        "x[:, 0]": lambda x: x[:, 0],
        "x[..., None]": lambda x: x[..., None],
        "x[0]": lambda x: x[0],
    }
    return [
        *(
            called("ops.get_item", words, apply, *SHAPE, exact=True)
            for words, apply in keys.items()
        ),
        use("ops.get_item", (slice(None), 1), exact=True),
        called(
            "ops.slice",
            "axis 1",
            lambda x: ops.slice(x, (0, 1), (ops.shape(x)[0] or 3, 2)),
            exact=True,
        ),
        *every(
            "ops.split",
            {"indices_or_sections": [2, [1, 3]], "axis": [0, 1]},
            SHAPE,
            exact=True,
        ),
        *every("ops.array_split", {"axis": [0, 1]}, SHAPE, True, indices_or_sections=3),
        use("ops.hsplit", 2, shapes=SHAPE, exact=True),
        use("ops.vsplit", 3, shapes=SHAPE, exact=True),
        use("ops.dsplit", 2, shapes=SHAPE, exact=True),
        *every("ops.unstack", {"axis": [1, -1]}, SHAPE, exact=True),
        use("ops.unstack", num=3, axis=0, shapes=SHAPE, exact=True),
        *every("ops.diagonal", {"axis1": [0, 1], "axis2": [2]}, ((4, 4),), exact=True),
        use("ops.diag", shapes=((4,),), exact=True),
        use("ops.diagflat", exact=True),
        *every("ops.tril", {"k": [0, 1]}, ((4, 4),), exact=True),
        *every("ops.triu", {"k": [0, -1]}, ((4, 4),), exact=True),
        use("ops.tril", exact=True),
        use("ops.triu", exact=True),
        use("ops.extract_sequences", 2, 1, exact=True),
        use("ops.unfold", 2, shapes=((2, 4, 4),), exact=True),
        use("ops.fold", (2, 2), 2, stride=2, shapes=((8, 1),), exact=True),
    ]


def _joins():
    widths = [[0, 0], [1, 2], [0, 1]]
    two = ((4, 2), (4, 2))
    return [
        *(
            use(f"ops.{name}", axis=axis, shapes=two, listed=True, exact=True)
            for name in ("concatenate", "stack")
            for axis in (0, 1, -1)
        ),
        use("ops.hstack", shapes=two, listed=True, exact=True),
        use("ops.vstack", shapes=two, listed=True, exact=True),
        use("ops.dstack", shapes=two, listed=True, exact=True),
        *every("ops.append", {"axis": [None, 0, 1]}, two, exact=True),
        called(
            "ops.concatenate",
            "x, constant",
            lambda x: ops.concatenate([x, x * 0 + 0.5], axis=1),
            exact=True,
        ),
        use("ops.pad", widths, shapes=SHAPE, exact=True),
        use("ops.pad", widths, constant_values=0.5, shapes=SHAPE, exact=True),
        *every(
            "ops.pad",
            {"mode": ["reflect", "symmetric"]},
            SHAPE,
            True,
            pad_width=[[0, 0], [1, 1], [1, 1]],
        ),
        use("ops.pad", [[1, 1], [0, 0]], exact=True),
        *every("ops.repeat", {"axis": [None, 0, 1, -1]}, SHAPE, True, repeats=2),
        use("ops.repeat", [1, 2, 0, 1], axis=1, shapes=SHAPE, exact=True),
        use("ops.tile", (1, 2), exact=True),
        use("ops.tile", (1, 2, 2), shapes=SHAPE, exact=True),
        use("ops.tile", (2, 1), exact=True),
        use("ops.tile", 2, exact=True),
        called(
            "ops.broadcast_to",
            "axis 1",
            lambda x: ops.broadcast_to(x, (3, 2, 4)),
            (1, 4),
            exact=True,
        ),
        use("ops.meshgrid", exact=True),
    ]


def _picks():
    places = np.array([[0, 2], [3, 1]])
    return [
        *every(
            "ops.take",
            {"indices": [[0, 2]], "axis": [None, 0, 1, -1]},
            ((3, 3),),
            exact=True,
        ),
        use("ops.take", places, axis=1, exact=True),
        use("ops.take", 1, axis=1, exact=True),
        use("ops.take", np.array([-1, 0]), axis=-1, exact=True),
        called(
            "ops.take",
            "places a signal",
            lambda x: ops.take(np.arange(8.0) / 8, ops.cast(x, "int32"), axis=0),
        ),
        use("ops.take_along_axis", np.array([[0, 2]]), axis=1, exact=True),
        use("ops.take_along_axis", np.array([[0, 1, 0, 1]]), axis=0, exact=True),
        called(
            "ops.take_along_axis",
            "argsort(x)",
            lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1),
        ),
        use("ops.slice_update", [0, 1], np.ones((1, 2), "float32"), exact=True),
        use(
            "ops.scatter_update", np.array([[0, 1]]), np.ones(1, "float32"), exact=True
        ),
        called(
            "ops.scatter",
            "places, x, shape",
            lambda x: ops.scatter(np.array([[0], [2], [1]]), x, (3, 4)),
        ),
        use("ops.unravel_index", (2, 4), dtype="int32"),
        use("ops.one_hot", 4, dtype="int32"),
        use("ops.multi_hot", 4, dtype="int32"),
        use("ops.vander"),
        *(
            use(f"ops.{name}", np.array([0, 0, 1]), 2)
            for name in ("segment_max", "segment_min", "segment_prod", "segment_sum")
        ),
    ]
