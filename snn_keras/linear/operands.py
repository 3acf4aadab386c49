"""Sums and other forms of signals, and of constants beside them."""

from keras import tree

from snn_keras.graph import Tensor
from snn_keras.linear.forms import Sum, core
from snn_keras.linear.moves import Concatenate
from snn_keras.linear.registry import NoForm


def operands_of(node):
    """The signals and constants that a node is called on."""
    operands = tree.flatten((node.args, node.kwargs))
    ranks = {len(x.shape) for x in operands if isinstance(x, Tensor)}
    if len(ranks) > 1:
        raise NoForm("of signals of several ranks it has none. Remedy: equal ranks.")
    (rank,) = ranks
    return [x if isinstance(x, Tensor) else constant_of(x, rank) for x in operands]


def constant_of(x, rank):
    """A constant beside signals of so many axes, the same for all samples."""
    constant = core(x)
    if constant.ndim >= rank:
        raise NoForm(
            "with a constant for each sample it has none. Remedy: a constant of "
            "length 1 along the batch."
        )
    return constant


def sum_of(operands, signs=None, divisor=1.0):
    """The sum of signals and constants, each times its sign."""
    pairs = list(zip(operands, signs or (1,) * len(operands), strict=True))
    constants = [x * sign for x, sign in pairs if not isinstance(x, Tensor)]
    taken = tuple(sign for x, sign in pairs if isinstance(x, Tensor))
    return Sum(taken, sum(constants), divisor)


def concatenated(operands, axis):
    """Signals one behind the other, `axis` counted with the batch."""
    if not all(isinstance(x, Tensor) for x in operands):
        raise NoForm(
            "with a constant beside signals it has none. Remedy: keras.ops.pad for "
            "zeros, and keras.layers.Rescaling(1.0, offset=constant) behind it."
        )
    rank = len(operands[0].shape)
    axis = axis % rank - 1
    if axis < 0:
        raise NoForm("it joins samples. Remedy: another axis than 0.")
    return Concatenate(axis)
