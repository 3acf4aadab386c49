"""The functions of keras.activations."""

import keras

from .case import called, use

EXACT = ("hard_tanh", "linear", "relu", "relu6")
SHAPE = ((4, 2),)


def cases():
    """All cases of this module: each function called, and inside layers."""
    found = []
    for name in dir(keras.activations):
        if not name.startswith("_") and name not in NOT_FUNCTIONS:
            found += _of(f"activations.{name}", name in EXACT)
    return [
        *found,
        use("activations.relu", negative_slope=0.25, exact=True),
        use("activations.relu", max_value=1.0, exact=True),
        use("activations.relu", threshold=0.5, exact=True),
        use("activations.relu", 0.25, 1.5, 0.5, exact=True),
        use("activations.elu", alpha=0.5),
        use("activations.celu", alpha=0.5),
        use("activations.gelu", approximate=True),
        use("activations.leaky_relu", negative_slope=0.25, exact=True),
        use("activations.softmax", axis=1, shapes=SHAPE),
        use("activations.softmax", axis=0, shapes=SHAPE),
        use("activations.log_softmax", axis=1, shapes=SHAPE),
        use("activations.sparsemax", axis=-1, shapes=SHAPE),
        use("activations.hard_shrink", threshold=0.25, exact=True),
        use("activations.soft_shrink", threshold=0.25, exact=True),
        use("activations.squareplus", b=1),
        use("activations.glu", axis=1, shapes=SHAPE),
    ]


# What keras.activations has besides functions.
NOT_FUNCTIONS = ("deserialize", "get", "serialize")
_NEEDS_ARGUMENTS = {"threshold": (0.25, 0.5)}


def _of(name, exact):
    function = getattr(keras.activations, name.split(".")[1])
    arguments = _NEEDS_ARGUMENTS.get(name.split(".")[1], ())
    found = [use(name, *arguments, shapes=SHAPE, exact=exact)]
    if not arguments and name != "activations.glu":  # which has another shape
        layer = keras.layers.Activation
        found.append(
            called(name, "a layer", lambda x: layer(function)(x), *SHAPE, exact=exact)
        )
        dense = keras.layers.Dense
        found.append(
            called(
                name, "in Dense", lambda x: dense(2, function)(x), *SHAPE, exact=exact
            )
        )
    return found
