"""Products of signals and of matrices, and functions that run functions."""

import numpy as np
from keras import ops

from .case import called, use

SHAPE = ((4, 2),)


def cases():
    """All cases of this module."""
    return [*_matrices(), *_loops()]


def _matrices():
    kernel = np.array([[1, -0.5], [0.5, 2], [0, 1], [0.25, 0]], "float32")
    wide = kernel.T
    square = ((4, 4), (4, 4))
    return [
        use("ops.matmul", kernel, exact=True),
        use("ops.matmul", kernel, shapes=((2, 4),), exact=True),
        called(
            "ops.matmul",
            "constant, x",
            lambda x: ops.matmul(wide, x),
            (4, 3),
            exact=True,
        ),
        called("ops.matmul", "constant, x", lambda x: ops.matmul(np.eye(3), x)),
        use("ops.matmul", shapes=square, exact=True),
        called("ops.matmul", "x, x transposed", lambda x: x @ ops.transpose(x)),
        use("ops.dot", kernel, exact=True),
        use("ops.dot", 0.5, exact=True),
        use("ops.dot", kernel, shapes=((2, 4),), exact=True),
        use("ops.dot", shapes=((4,), (4, 4))),
        use("ops.inner", wide, exact=True),
        use("ops.inner", shapes=((4,), (4,))),
        use("ops.outer", np.ones(2, "float32"), exact=True),
        use("ops.outer", shapes=((4,), (4,))),
        use("ops.vdot", shapes=((4,), (4,))),
        use("ops.kron", np.ones((1, 2), "float32"), exact=True),
        use("ops.kron", np.ones((2, 1), "float32"), exact=True),
        use(
            "ops.cross",
            np.array([1.0, 0.5, -1.0], "float32"),
            shapes=((3,),),
            exact=True,
        ),
        use("ops.cross", shapes=((3,), (3,)), exact=True),
        use("ops.tensordot", kernel, 1, exact=True),
        use("ops.tensordot", kernel, [[1], [0]], shapes=SHAPE, exact=True),
        use("ops.tensordot", np.ones((3, 2), "float32"), [[0], [0]], exact=True),
        use("ops.tensordot", [[1], [1]], shapes=((4,), (4,))),
        called(
            "ops.einsum",
            "constant",
            lambda x: ops.einsum("bi,io->bo", x, kernel),
            exact=True,
        ),
        called(
            "ops.einsum",
            "constant first",
            lambda x: ops.einsum("io,bi->bo", kernel, x),
            exact=True,
        ),
        called(
            "ops.einsum",
            "two constants",
            lambda x: ops.einsum("bi,io,op->bp", x, kernel, wide),
            exact=True,
        ),
        called(
            "ops.einsum",
            "constant, over the batch",
            lambda x: ops.einsum("bi,bo->io", x, np.ones((3, 2))),
        ),
        called(
            "ops.einsum",
            "one signal",
            lambda x: ops.einsum("bij->bj", x),
            *SHAPE,
            exact=True,
        ),
        called(
            "ops.einsum",
            "two signals",
            lambda x, y: ops.einsum("bij,bkj->bik", x, y),
            *square,
            exact=True,
        ),
        called(
            "ops.einsum",
            "pairs of samples",
            lambda x, y: ops.einsum("bi,ci->bc", x, y),
            (4,),
            (4,),
        ),
        called(
            "ops.einsum",
            "sum of samples",
            lambda x, y: ops.einsum("bi,ci->bi", x, y),
            (4,),
            (4,),
        ),
        called("ops.correlate", "constant", lambda x: ops.correlate(x, np.ones(2))),
        use("ops.cdist", np.ones((2, 4), "float32")),
        use("ops.cdist", shapes=((2, 4), (3, 4))),
        use("ops.cdist", shapes=((4,), (4,))),
        use("ops.dot_product_attention", shapes=((3, 2, 4),) * 3),
        use("ops.dot_product_attention", is_causal=True, shapes=((3, 2, 4),) * 3),
    ]


def _loops():
    """Functions that run functions."""
    return [
        called("ops.cond", "constant", lambda x: ops.cond(True, lambda: x, lambda: -x)),
        called(
            "ops.cond",
            "any(x > 1)",
            lambda x: ops.cond(ops.any(x > 1), lambda: x, lambda: -x),
        ),
        called(
            "ops.switch",
            "constant",
            lambda x: ops.switch(1, [lambda v: v, lambda v: -v], x),
        ),
        called("ops.map", "over samples", lambda x: ops.map(lambda v: v * 2, x)),
        called(
            "ops.vectorized_map",
            "over samples",
            lambda x: ops.vectorized_map(lambda v: v * 2, x),
        ),
        called("ops.vectorize", "x + 1", lambda x: ops.vectorize(lambda v: v + 1)(x)),
        called(
            "ops.scan",
            "over samples",
            lambda x: ops.scan(lambda c, v: (c + v, c), x[0] * 0, x),
        ),
        *(
            called(
                "ops.associative_scan",
                f"add, axis={axis}",
                lambda x, axis=axis: ops.associative_scan(ops.add, x, axis=axis),
            )
            for axis in (0, 1)
        ),
        called(
            "ops.fori_loop",
            "doubled twice",
            lambda x: ops.fori_loop(0, 2, lambda i, v: v * 2, x),
        ),
        called(
            "ops.while_loop",
            "doubled until large",
            lambda x: ops.while_loop(
                lambda v: ops.all(v < 9), lambda v: (v * 2 + 1,), (x,)
            ),
        ),
        called(
            "ops.custom_gradient",
            "doubled",
            lambda x: ops.custom_gradient(
                lambda v: (v * 2, lambda *_, upstream: upstream)
            )(x),
        ),
        called(
            "ops.jvp",
            "square",
            lambda x: ops.jvp(ops.square, (x,), (x,)),
        ),
    ]
