"""Every operator of ONNX alone, with its attributes, against ONNX Runtime."""

import dataclasses

import numpy as np
import onnx
import pytest

from tests.onnx_files import check, model_proto, node, values


@dataclasses.dataclass
class Case:
    """One operator with inputs, constants and attributes.

    Attributes:
        op: The operator.
        shapes: Shapes of the inputs without the batch.
        constants: Arrays for further inputs, in the order of the operator.
        attributes: Its attributes.
        is_image: Whether the second axes of input and output are channels.
        low: The lowest entry of the inputs.
        outputs: Names of the outputs.
        order: All inputs by name, if constants are not the last ones.
    """

    op: str
    shapes: tuple
    constants: tuple = ()
    attributes: dict = dataclasses.field(default_factory=dict)
    is_image: bool = False
    low: float = -2.0
    outputs: str = "y"
    order: str = ""

    def __str__(self):
        more = [f"{k}={v}" for k, v in self.attributes.items()]
        return "-".join([self.op, *map(str, self.shapes), *more]).replace(" ", "")

    def exists(self, opset):
        """Whether the operator has these inputs and attributes in an opset."""
        try:
            onnx.checker.check_model(self.made(opset)[0], full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            return False
        return True

    def made(self, opset, batch="n"):
        """The model, and its inputs."""
        samples = batch if isinstance(batch, int) else 2
        inputs = {
            f"x{i}": values(samples, *shape, seed=i, low=self.low)
            for i, shape in enumerate(self.shapes)
        }
        constants = {f"c{i}": x for i, x in enumerate(self.constants) if x is not None}
        order = " ".join(
            f"c{i}" if x is not None else "-" for i, x in enumerate(self.constants)
        )
        order = self.order or f"{' '.join(inputs)} {order}"
        made = node(self.op, order, self.outputs, **self.attributes)
        return model_proto(
            [made], inputs, constants, self.outputs, opset, batch
        ), inputs

    def run(self, opset, batch="n"):
        model, inputs = self.made(opset, batch)
        images = ("x0", *self.outputs.split()) if self.is_image else ()
        return check(model, inputs, images, images)


def case(op, *shapes, constants=(), order="", low=-2.0, outputs="y", **attributes):
    return Case(op, shapes, constants, attributes, False, low, outputs, order)


def image(op, *shapes, constants=(), low=-2.0, **attributes):
    return Case(op, shapes, constants, attributes, True, low)


def conv(shape, *kernel, bias=True, **attributes):
    """A convolution; its kernel has ONNX's order."""
    constants = (values(*kernel, seed=5),)
    constants += (values(kernel[0], seed=6),) if bias else ()
    return image("Conv", shape, constants=constants, **attributes)


def transposed(shape, *kernel, bias=True, **attributes):
    """A transposed convolution."""
    channels = kernel[1] * attributes.get("group", 1)
    constants = (values(*kernel, seed=5),)
    constants += (values(channels, seed=6),) if bias else ()
    return image("ConvTranspose", shape, constants=constants, **attributes)


CONVOLUTIONS = [
    conv((3, 6, 7), 4, 3, 3, 3),
    conv((3, 6, 7), 4, 3, 3, 2, bias=False, pads=[1, 0, 2, 1], strides=[2, 1]),
    conv((3, 6, 7), 4, 3, 3, 3, pads=[1, 1, 1, 1]),
    conv((3, 6, 6), 4, 3, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2]),
    conv((3, 7, 7), 4, 3, 3, 3, auto_pad="SAME_UPPER", strides=[2, 3]),
    conv((3, 6, 8), 4, 3, 3, 3, auto_pad="SAME_LOWER", strides=[2, 2]),
    conv((3, 6, 8), 4, 3, 2, 2, auto_pad="SAME_LOWER"),
    conv((3, 6, 8), 4, 3, 2, 2, auto_pad="VALID"),
    conv((3, 9, 9), 4, 3, 3, 3, dilations=[2, 2], pads=[2, 2, 2, 2]),
    conv((3, 9, 9), 4, 3, 3, 3, dilations=[2, 1], strides=[2, 2]),
    conv((4, 6, 6), 6, 2, 3, 3, group=2),
    conv((4, 6, 6), 4, 1, 3, 3, group=4, pads=[1, 1, 1, 1]),
    conv((4, 6, 6), 8, 1, 3, 3, group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
    conv((4, 6, 6), 8, 1, 3, 3, group=4, strides=[2, 1], pads=[1, 1, 1, 1]),
    conv((4, 7, 7), 8, 1, 3, 3, group=4, dilations=[2, 2]),
    conv((3, 9), 4, 3, 3, pads=[1, 1], strides=[2]),
    conv((4, 9), 4, 1, 3, group=4),
    conv((4, 9), 8, 2, 3, group=2, dilations=[2]),
    conv((2, 4, 5, 6), 3, 2, 2, 3, 3, pads=[0, 1, 1, 0, 1, 1]),
    conv((2, 4, 5, 6), 4, 1, 2, 3, 3, group=2, strides=[1, 2, 1]),
    transposed((3, 4, 5), 3, 4, 3, 3),
    transposed((3, 4, 5), 3, 4, 3, 3, strides=[2, 2], pads=[1, 1, 1, 1]),
    transposed(
        (3, 4, 5),
        *(3, 4, 3, 3),
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    ),
    transposed((3, 4, 5), 3, 4, 2, 2, strides=[2, 2], bias=False),
    transposed((3, 4, 5), 3, 4, 2, 2, strides=[3, 3], output_padding=[2, 1]),
    transposed((3, 4, 5), 3, 4, 1, 1, strides=[2, 2]),
    transposed((3, 4, 5), 3, 4, 3, 2, pads=[1, 0, 2, 1], strides=[1, 2]),
    transposed((3, 4, 5), 3, 4, 3, 3, dilations=[2, 2], strides=[2, 1]),
    transposed((3, 4, 5), 3, 4, 3, 3, output_shape=[9, 11], strides=[2, 2]),
    transposed((3, 4, 5), 3, 4, 3, 3, auto_pad="SAME_UPPER", strides=[2, 2]),
    transposed((3, 4, 5), 3, 4, 3, 3, auto_pad="SAME_LOWER", strides=[2, 2]),
    transposed((4, 4, 5), 4, 3, 3, 3, group=2, strides=[2, 2]),
    transposed((3, 6), 3, 4, 3, strides=[2], pads=[1, 1]),
    transposed((2, 3, 4, 3), 2, 3, 2, 2, 2, strides=[2, 2, 2]),
]

P1, S2 = {"pads": [1, 1, 1, 1]}, {"strides": [2, 2]}
COUNTED, UP = {"count_include_pad": 1}, {"ceil_mode": 1}


def max_pool(shape, *kernel, low=-2.0, **attributes):
    return image("MaxPool", shape, low=low, kernel_shape=list(kernel), **attributes)


def average(shape, *kernel, **attributes):
    return image("AveragePool", shape, kernel_shape=list(kernel), **attributes)


POOLS = [
    case("GlobalAveragePool", (3, 4, 5)),
    case("GlobalAveragePool", (3, 4)),
    case("GlobalAveragePool", (3, 4, 2, 3)),
    case("GlobalMaxPool", (3, 4, 5)),
    max_pool((3, 6, 7), 2, 2),
    max_pool((3, 6, 7), 2, 2, **S2),
    max_pool((3, 6, 8), 3, 3, **S2, **P1),
    max_pool((3, 7, 6), 2, 2, **S2, **UP),
    max_pool((3, 7, 8), 3, 3, **S2, **P1, **UP),
    max_pool((3, 7, 6), 3, 2, pads=[2, 1, 0, 1]),
    max_pool((3, 7, 6), 3, 2, auto_pad="SAME_UPPER", **S2),
    max_pool((3, 8, 6), 3, 2, auto_pad="SAME_LOWER", **S2),
    max_pool((3, 8, 6), 3, 2, auto_pad="VALID", **S2),
    max_pool((3, 9, 9), 3, 3, dilations=[2, 2], pads=[1, 2, 1, 2]),
    max_pool((3, 9), 3, strides=[2]),
    max_pool((3, 4, 5, 6), 2, 2, 3, strides=[2, 1, 2]),
    average((3, 6, 7), 2, 3, **S2),
    average((3, 6, 7), 3, 3, **P1),
    average((3, 6, 8), 3, 3, **P1, **S2),
    average((3, 6, 7), 3, 3, pads=[1, 0, 2, 1], **COUNTED),
    average((3, 7, 6), 2, 2, **S2, **UP),
    average((3, 7, 8), 3, 3, **S2, **P1, **UP, **COUNTED),
    average((3, 7, 7), 3, 3, auto_pad="SAME_UPPER"),
    average((3, 8, 8), 3, 3, auto_pad="SAME_LOWER", **S2),
    average((3, 9, 9), 3, 3, dilations=[2, 2], **P1),
    average((3, 9), 3, strides=[2]),
    average((3, 4, 5, 6), 2, 2, 3, pads=[1, 0, 1, 1, 0, 1]),
]

FOUR = (values(4, low=0.5), values(4, seed=1), values(4, seed=2), values(4, low=0.1))
NORMALIZATIONS = [
    image("BatchNormalization", (4, 5, 6), constants=FOUR),
    image("BatchNormalization", (4, 5), constants=FOUR, epsilon=0.1),
    case("BatchNormalization", (4,), constants=FOUR),
    case("LayerNormalization", (5, 4), constants=FOUR[:2]),
    case("LayerNormalization", (5, 4), constants=FOUR[:1], epsilon=0.1),
    case(
        "LayerNormalization",
        *[(3, 5, 4)],
        constants=(values(5, 4), values(5, 4, seed=1)),
        axis=-2,
    ),
    case("RMSNormalization", (5, 4), constants=FOUR[:1], epsilon=0.1),
    image("InstanceNormalization", (4, 5, 6), constants=FOUR[:2]),
    image("GroupNormalization", (4, 5, 6), constants=FOUR[:2], num_groups=2),
]

INT = np.int64
ENTRIES = [
    *(
        case(op, (3, 4))
        for op in ["Abs", "Ceil", "Round", "Cos", "Erf", "Exp", "Floor", "Neg"]
    ),
    *(case(op, (3, 4), low=0.1) for op in ["Log", "Reciprocal", "Sqrt"]),
    *(case(op, (3, 4)) for op in ["Sign", "Sin", "Tan", "Relu", "Sigmoid", "Softplus"]),
    *(case(op, (3, 4)) for op in ["Softsign", "Tanh", "Selu", "HardSwish", "Mish"]),
    *(case(op, (3, 4)) for op in ["LeakyRelu", "Elu", "Celu", "HardSigmoid", "Gelu"]),
    case("LeakyRelu", (3, 4), alpha=0.3),
    case("Elu", (3, 4), alpha=0.3),
    case("Celu", (3, 4), alpha=0.3),
    case("HardSigmoid", (3, 4), alpha=1 / 6),
    case("HardSigmoid", (3, 4), alpha=0.4, beta=0.3),
    case("Gelu", (3, 4), approximate="tanh"),
    case("PRelu", (3, 4, 5), constants=(values(3, 1, 1),)),
    case("PRelu", (3, 4), constants=(values(1),)),
    case("PRelu", (3, 4), constants=(values(3, 4),)),
    case("Clip", (3, 4)),
    case("Clip", (3, 4), constants=(np.float32(-0.5), np.float32(1))),
    case("Clip", (3, 4), constants=(np.float32(0), np.float32(1))),
    case("Clip", (3, 4), constants=(np.float32(0),)),
    case("Clip", (3, 4), constants=(np.float32(0.3),)),
    case("Clip", (3, 4), constants=(None, np.float32(0.3))),
    case("Softmax", (3, 4)),
    case("Softmax", (3, 4), axis=1),
    case("LogSoftmax", (3, 4)),
    case("LogSoftmax", (3, 4), axis=-2),
    *(case(op, (3, 4), (3, 4)) for op in ["Add", "Sub", "Mul", "Div", "Max", "Min"]),
    *(case(op, (3, 4), (3, 4), (1, 4)) for op in ["Max", "Min", "Sum", "Mean"]),
    *(case(op, (3, 4), constants=(values(4),)) for op in ["Add", "Sub", "Mul", "Div"]),
    *(case(op, (4,), constants=(values(1),)) for op in ["Add", "Sub", "Mul", "Div"]),
    *(
        case(op, (3, 4), constants=(values(3, 1),), order="c0 x0", low=0.1)
        for op in ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max"]
    ),
    case("Add", (3, 1), (1, 4)),
    case("Add", (4, 1), (1, 4)),
    case("Add", (4, 4), (4, 1)),
    case("Add", (4, 4), constants=(values(4, 1),)),
    case("Add", (4, 4, 3), constants=(values(4, 1),)),
    case("Add", (4, 4, 1), constants=(values(4, 1),)),
    case("Mul", (3, 1, 5), (1, 4, 1)),
    case("Sub", (3, 4, 5), (1, 1, 5)),
    case("Add", (1, 1), constants=(values(3, 4),)),
    *(case("Pow", (3, 4), constants=(np.float32(p),), low=0.1) for p in (1, 2, 0.5, 3)),
    case("Pow", (3, 4), (3, 4), low=0.1),
]

REDUCTIONS = [
    *(
        case(op, (3, 4, 5), constants=(np.array(axes, INT),), keepdims=keeps)
        for op in ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"]
        for axes, keeps in [([-1], 1), ([1, 2], 0), ([2], 0), ([1, 2, 3], 1)]
    ),
    *(
        case(op, (3, 4, 5), constants=(np.array([-1, 1], INT),), keepdims=0)
        for op in ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"]
    ),
    case("ReduceMean", (3, 4), noop_with_empty_axes=1),
    case("ArgMax", (3, 4), axis=1),
    case("ArgMax", (3, 4), axis=-1, keepdims=0),
]

X, W = (5, 6), values(6, 4)
MATRICES = [
    case("MatMul", X, constants=(W,)),
    case("MatMul", (6,), constants=(W,)),
    case("MatMul", X, constants=(values(1, 6, 4),)),
    case("MatMul", X, constants=(values(3, 5),), order="c0 x0"),
    case("MatMul", (2, *X), constants=(values(2, 6, 4),)),
    case("MatMul", (2, *X), constants=(values(2, 3, 5),), order="c0 x0"),
    case("MatMul", (2, *X), (2, 6, 3)),
    case("MatMul", (1, *X), (2, 6, 3)),
    case("MatMul", X, constants=(values(6),)),
    case("Gemm", (6,), constants=(W, values(4))),
    case("Gemm", (6,), constants=(W,), alpha=0.5),
    case(
        "Gemm", (6,), constants=(W.T.copy(), values(1)), transB=1, beta=2.0, alpha=0.5
    ),
    case("Gemm", (6,), constants=(W, values(1, 4)), beta=0.5),
    case("Einsum", (2, 5, 6), (2, 6, 3), equation="bhqd,bhdk->bhqk"),
    case("Einsum", (5, 6), (4, 6), equation="bqd,bkd->bkq"),
    case("Einsum", (5, 6), constants=(values(6, 2, 3),), equation="bld, dhe -> bhle"),
    case("Einsum", (5, 6), equation="bld->bd"),
    case("Gemm", (6,), (4,), constants=(W,), order="x0 c0 x1", beta=0.5),
]


def ints(*numbers):
    return np.array(numbers, INT)


AXES = [
    case("Identity", (3, 4)),
    case("Dropout", (3, 4)),
    case("Transpose", (3, 4, 5), perm=[0, 3, 1, 2]),
    case("Transpose", (3, 4, 5), perm=[0, 2, 1, 3]),
    case("Reshape", (3, 4), constants=(ints(0, -1),)),
    case("Reshape", (3, 4), constants=(ints(-1, 2, 6),)),
    case("Reshape", (4, 6), constants=(ints(-1, 3, 8),)),
    case("Reshape", (4, 6), constants=(ints(-1, 3, 1, 2, 4),), allowzero=1),
    case("Flatten", (3, 4, 5)),
    case("Flatten", (3, 4, 5), axis=-3),
    case("Squeeze", (1, 4, 1), constants=(ints(1, -1),)),
    case("Squeeze", (1, 4, 1)),
    case("Unsqueeze", (3, 4), constants=(ints(1, -1),)),
    case("Expand", (1, 4), constants=(ints(3, 1),)),
    case("Expand", (3, 4), constants=(ints(1, 1),)),
    case("Cast", (3, 4), to=1),
    case("Cast", (3, 4), to=7),
    case("Concat", (3, 4), (2, 4), axis=1),
    case("Concat", (3, 4), (3, 2), (3, 1), axis=-1),
    case("Split", (6, 4), axis=1, num_outputs=2, outputs="y z"),
    case("Split", (7, 4), axis=1, num_outputs=3, outputs="y z u"),
    case("Split", (6, 4), constants=(ints(1, 5),), axis=1, outputs="y z"),
    case("Slice", (6, 4), constants=(ints(1), ints(5), ints(1))),
    case("Slice", (6, 4), constants=(ints(0, 1, -3), ints(9**9, 9**9, -1))),
    case("Slice", (6, 4), constants=(ints(-1), ints(-(9**9)), ints(1), ints(-2))),
    case("Slice", (6, 4), constants=(ints(4, 0), ints(1, 3), ints(1, 2), ints(-1, 2))),
    case("Pad", (3, 4, 5), constants=(ints(0, 0, 1, 2, 0, 0, 1, 0),)),
    case("Pad", (3, 4), constants=(ints(0, 1, 0, 0, 2, 1), np.float32(0.5))),
    case("Pad", (3, 4), constants=(ints(0, -1, 1, 0, 0, -1),)),
    case("Pad", (3, 4), constants=(ints(1, 2), None, ints(-1))),
    *(
        case("Pad", (3, 4), constants=(ints(0, 1, 2, 0, 2, 1),), mode=mode)
        for mode in ("reflect", "edge", "wrap")
    ),
    case("Gather", (5, 4), constants=(np.array(2, INT),), axis=1),
    case("Gather", (5, 4), constants=(ints(0, -1, 2),), axis=1),
    case("Gather", (5, 4), constants=(np.array([[0, 1], [3, 2]], INT),), axis=2),
    case("Tile", (3, 4), constants=(ints(1, 2, 3),)),
    image("DepthToSpace", (8, 3, 4), blocksize=2),
    image("DepthToSpace", (8, 3, 4), blocksize=2, mode="CRD"),
    image("SpaceToDepth", (3, 4, 6), blocksize=2),
]


def scaled(shape, *scales, place="half_pixel", **attributes):
    constants = (None, np.array([1, 1, *scales], "float32"))
    attributes |= {"coordinate_transformation_mode": place}
    return case("Resize", shape, constants=constants, **attributes)


def sized(shape, *sizes, place="half_pixel", **attributes):
    constants = (None, None, ints(2, shape[0], *sizes))
    attributes |= {"coordinate_transformation_mode": place}
    return case("Resize", shape, constants=constants, **attributes)


LINEAR, CUBIC = {"mode": "linear"}, {"mode": "cubic"}
REGION = np.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9], "float32")
RESIZES = [
    scaled((3, 4, 5), 2, 2),
    scaled((3, 4, 5), 2, 3, nearest_mode="floor", place="asymmetric"),
    scaled((3, 4, 6), 0.5, 0.5, place="asymmetric"),
    scaled((3, 4, 6), 0.6, 1.7, nearest_mode="ceil"),
    scaled((3, 4, 6), 0.6, 1.7, nearest_mode="round_prefer_ceil"),
    scaled((3, 4, 5), 2, 2, **LINEAR),
    scaled((3, 4, 5), 2, 2, **LINEAR, place="align_corners"),
    scaled((3, 4, 5), 2, 2, **LINEAR, place="asymmetric"),
    sized((3, 4, 5), 7, 3, **LINEAR, place="pytorch_half_pixel"),
    sized((3, 4, 5), 8, 1, **LINEAR),
    sized((3, 4, 5), 7, 9, **LINEAR, place="half_pixel_symmetric"),
    scaled((3, 4, 5), 2, 1.5, **CUBIC),
    scaled((3, 4, 5), 2, 1.5, **CUBIC, exclude_outside=1, cubic_coeff_a=-0.5),
    sized((3, 9, 8), 4, 3, **LINEAR, antialias=1),
    sized((3, 9, 8), 4, 3, **CUBIC, antialias=1),
    scaled((3, 6), 2),
    scaled((3, 6), 1.5, **LINEAR),
    case(
        "Resize",
        *[(3, 4, 5)],
        constants=(None, np.array([2, 2], "float32")),
        axes=[2, 3],
    ),
    case(
        "Resize",
        *[(3, 4, 6)],
        constants=(None, None, ints(8, 9)),
        axes=[2, 3],
        keep_aspect_ratio_policy="not_larger",
    ),
    case(
        "Resize",
        *[(3, 6, 6)],
        constants=(REGION, None, ints(2, 3, 4, 5)),
        coordinate_transformation_mode="tf_crop_and_resize",
        **LINEAR,
    ),
]

HEADS = {"q_num_heads": 2, "kv_num_heads": 2}
ATTENTION = [
    case("Attention", (5, 6), (4, 6), (4, 8), **HEADS),
    case("Attention", (5, 6), (5, 6), (5, 6), **HEADS, is_causal=1, scale=0.5),
    case("Attention", (2, 5, 3), (2, 4, 3), (2, 4, 6)),
    case("Attention", (2, 5, 3), (2, 4, 3), (2, 4, 6), constants=(values(5, 4),)),
    case("Attention", (2, 5, 3), (2, 4, 3), (2, 4, 6), constants=(values(5, 4) > 0,)),
]

ALL = [
    *(*CONVOLUTIONS, *POOLS, *NORMALIZATIONS, *ENTRIES, *REDUCTIONS, *MATRICES),
    *(*AXES, *RESIZES, *ATTENTION),
]


OPSETS = range(13, onnx.defs.onnx_opset_version() + 1)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_an_operator_computes_what_onnx_runtime_does(case):
    case.run(opset=23)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("case", [x for x in ALL[::9] if x.op != "Resize"], ids=str)
def test_an_operator_for_a_fixed_batch_takes_any(case, batch):
    read = case.run(opset=23, batch=batch)
    assert all(x.shape[0] is None for x in read.inputs)


@pytest.mark.parametrize("case", [x for x in ALL if x.op == "Add"], ids=str)
def test_an_addition_for_one_sample_broadcasts_as_for_several(case):
    case.run(opset=23, batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("opset", OPSETS)
def test_operators_of_every_opset(opset):
    """Those cases that are of the opset: others have an attribute that came later."""
    ran = [case.run(opset) for case in ALL if case.exists(opset)]
    assert len(ran) > 200
