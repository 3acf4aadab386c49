"""The windows of convolutions and pools: ONNX's padding, and the one of Keras."""

import dataclasses
import math

import keras
from keras import layers

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.values import View

ZERO_PADDING = {
    1: layers.ZeroPadding1D,
    2: layers.ZeroPadding2D,
    3: layers.ZeroPadding3D,
}
CROPPING = {1: layers.Cropping1D, 2: layers.Cropping2D, 3: layers.Cropping3D}


@dataclasses.dataclass(frozen=True)
class Windows:
    """Where windows lie along each axis of space.

    Attributes:
        sizes: The lengths of the input.
        kernel, strides, dilations: One number for each axis.
        pads: What stands before and behind, as the file says.
        overhang: How much further behind the last window ends than the padding.
    """

    sizes: tuple
    kernel: tuple
    strides: tuple
    dilations: tuple
    pads: tuple
    overhang: tuple

    @property
    def extents(self) -> tuple:
        """How far the windows reach."""
        pairs = zip(self.kernel, self.dilations, strict=True)
        return tuple((k - 1) * d + 1 for k, d in pairs)

    @property
    def padding(self) -> tuple:
        """What stands before and behind, with the overhang."""
        pairs = zip(self.pads, self.overhang, strict=True)
        return tuple((before, behind + more) for (before, behind), more in pairs)

    @property
    def is_same(self) -> bool:
        """Whether it is Keras's padding "same"."""
        found = map(same, self.sizes, self.extents, self.strides)
        return self.padding == tuple(found)

    @property
    def is_valid(self) -> bool:
        """Whether there is no padding."""
        return not any(map(any, self.padding))


def same(size: int, extent: int, stride: int) -> tuple[int, int]:
    """The padding "same" before and behind."""
    total = max((math.ceil(size / stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def windows_of(call: Call, view: View, kernel: tuple) -> Windows:
    """The windows of a node.

    Args:
        call: A convolution or a pool.
        view: Its input: samples, channels, space.
        kernel: The size of its kernel.

    Raises:
        Untranslatable: if the input has not as many axes as the kernel.
    """
    count = view.rank - 2
    if count not in (1, 2, 3) or len(kernel) != count:
        raise Untranslatable(
            f"its input has {view.rank} axes and its kernel {len(kernel)}; read are "
            "kernels of 1 to 3 axes, on inputs with two more"
        )
    sizes = tuple(view.length(axis) for axis in range(2, view.rank))
    strides = tuple(call.attribute("strides") or (1,) * count)
    dilations = tuple(call.attribute("dilations") or (1,) * count)
    found = Windows(sizes, tuple(kernel), strides, dilations, (), ())
    pads = pads_of(call, found)
    overhang = (0,) * count
    is_explicit = call.attribute("auto_pad", "NOTSET") == "NOTSET"
    if call.attribute("ceil_mode", 0) and is_explicit:
        overhang = tuple(map(_overhang, sizes, found.extents, strides, pads))
    return dataclasses.replace(found, pads=pads, overhang=overhang)


def pads_of(call: Call, windows: Windows) -> tuple:
    """`(before, behind)` for each axis of space."""
    kind = call.attribute("auto_pad", "NOTSET")
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        found = map(same, windows.sizes, windows.extents, windows.strides)
        return tuple(x if kind == "SAME_UPPER" else x[::-1] for x in found)
    count = len(windows.sizes)
    pads = tuple(call.attribute("pads") or (0,) * 2 * count)
    if kind == "VALID":
        pads = (0,) * 2 * count
    if len(pads) != 2 * count or min(pads) < 0:
        raise Untranslatable(
            f"its pads {pads} are not {2 * count} numbers of 0 or more"
        )
    return tuple(zip(pads[:count], pads[count:], strict=True))


def _overhang(size, extent, stride, pads):
    """How much further than the padding the last window ends where it is rounded up."""
    padded = size + sum(pads)
    count = math.ceil((padded - extent) / stride) + 1
    if (count - 1) * stride >= size + pads[0]:  # it would begin behind the input
        count -= 1
    return max((count - 1) * stride + extent - padded, 0)


def zero_padded(call: Call, x: keras.KerasTensor, padding: tuple) -> keras.KerasTensor:
    """A tensor with channels last and zeros around its space."""
    if not any(map(any, padding)):
        return x
    layer = ZERO_PADDING[len(padding)]
    sides = padding[0] if len(padding) == 1 else padding
    return call.make.layer(layer, x, sides, suffix="pad")


def cropped(call: Call, x: keras.KerasTensor, sides: tuple) -> keras.KerasTensor:
    """A tensor with channels last without its margins."""
    if not any(map(any, sides)):
        return x
    layer = CROPPING[len(sides)]
    pairs = sides[0] if len(sides) == 1 else sides
    return call.make.layer(layer, x, pairs, suffix="crop")
