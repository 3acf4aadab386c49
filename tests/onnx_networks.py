"""Draws random networks as ONNX files."""

import dataclasses
import math

import numpy as np

from tests.onnx_files import model_proto, node


@dataclasses.dataclass
class Signal:
    """A tensor of the network: its name, its shape without the batch, its axes."""

    name: str
    shape: tuple
    is_image: bool


class Drawer:
    """Draws a network of images, sequences and vectors.

    Args:
        seed: Which network.
        opset: The version of the operators.
        batch: A length, or a name for an open batch.
    """

    def __init__(self, seed, opset, batch="n"):
        self.rng = np.random.default_rng(seed)
        self.opset, self.batch = opset, batch
        self.nodes, self.constants, self.signals = [], {}, []
        samples = batch if isinstance(batch, int) else 2
        shape = (self.pick(2, 3, 4), self.pick(6, 8, 9), self.pick(6, 7, 8))
        x = self.rng.normal(0, 1, (samples, *shape)).astype("float32")
        self.inputs = {"x": x}
        self.convolution(Signal("x", shape, True))

    def network(self, steps):
        """The model, its input, and which outputs are images."""
        for _ in range(steps):
            self.step()
        read = {name for made in self.nodes for name in made.input}
        ends = [s for s in self.signals if s.name not in read][-3:]
        names = " ".join(s.name for s in ends)
        model = model_proto(
            self.nodes, self.inputs, self.constants, names, self.opset, self.batch
        )
        return model, [s.name for s in ends if s.is_image and len(s.shape) > 1]

    def step(self):
        signal = self.signals[
            -1 - min(int(self.rng.exponential(0.7)), 3) % len(self.signals)
        ]
        kinds = {3: self.of_images, 2: self.of_sequences, 1: self.of_vectors}
        self.pick(*kinds[len(signal.shape)]())(signal)

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def constant(self, *shape, low=None):
        """The name of a new constant: small numbers, or numbers from `low` to 1."""
        scale = 1 / math.sqrt(max(math.prod(shape[1:]), 1))
        array = self.rng.normal(0, scale, shape)
        if low is not None:
            array = self.rng.uniform(low, 1, shape)
        return self.numbers(array.astype("float32"))

    def numbers(self, array):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def ints(self, *numbers):
        return self.numbers(np.array(numbers, "int64"))

    def add(self, op, inputs, shape, is_image=None, **attributes):
        """Adds a node and its signal."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op, inputs, name, **attributes))
        like = next((s for s in self.signals if s.name == inputs.split()[0]), None)
        if is_image is None:
            is_image = like is not None and like.is_image
        self.signals.append(Signal(name, tuple(shape), is_image))
        return self.signals[-1]

    def of_images(self):
        return (
            *(self.convolution, self.convolution, self.depthwise, self.transposed),
            *(self.normalization, self.activation, self.activation, self.pool),
            *(self.joined, self.summed, self.gated, self.resized, self.padded),
            *(self.cut, self.scaled, self.softmax, self.tokens, self.back_and_forth),
            *(self.parts, self.shuffled, self.pooled_globally, self.flattened),
        )

    def of_sequences(self):
        return (
            *(self.product, self.product, self.layer_normalization, self.gelu),
            *(self.attention, self.summed, self.softmax, self.swapped, self.activation),
            *(self.mean, self.scaled, self.normalized, self.first),
        )

    def of_vectors(self):
        return (self.gemm, self.gemm, self.activation, self.scaled, self.summed)

    def windows(self, shape, kernel):
        """Random strides and pads, and the lengths behind them.

        Strides are equal: TensorFlow with oneDNN errs where they are not, if there is
        one channel and the output has a width of 1.
        """
        strides = [self.pick(1, 1, 2)] * len(kernel)
        before, behind = ([self.pick(*range(k)) // 2 for k in kernel] for _ in "ab")
        sizes = [
            (n + b + e - k) // s + 1
            for n, k, s, b, e in zip(
                shape, kernel, strides, before, behind, strict=True
            )
        ]
        return {"strides": strides, "pads": before + behind}, sizes

    def kernel(self, shape):
        return [min(self.pick(1, 2, 3, 3), n) for n in shape]

    def convolution(self, x):
        channels, *space = x.shape
        kernel = self.kernel(space)
        groups = 2 if channels % 2 == 0 and self.pick(0, 0, 1) else 1
        filters = groups * self.pick(2, 3)
        settings, sizes = self.windows(space, kernel)
        weights = self.constant(filters, channels // groups, *kernel)
        bias = self.pick("", self.constant(filters))
        inputs = f"{x.name} {weights} {bias}"
        settings |= {"group": groups}
        return self.add("Conv", inputs, (filters, *sizes), True, **settings)

    def depthwise(self, x):
        channels, *space = x.shape
        kernel = self.kernel(space)
        settings, sizes = self.windows(space, kernel)
        weights = self.constant(channels, 1, *kernel)
        settings |= {"group": channels}
        self.add("Conv", f"{x.name} {weights}", (channels, *sizes), True, **settings)

    def transposed(self, x):
        if max(x.shape[1:]) > 12:
            return
        weights = self.constant(x.shape[0], 3, 2, 2)
        sizes = [2 * n for n in x.shape[1:]]
        self.add(
            "ConvTranspose", f"{x.name} {weights}", (3, *sizes), True, strides=[2, 2]
        )

    def normalization(self, x):
        names = [self.constant(x.shape[0], low=0.5) for _ in range(4)]
        self.add("BatchNormalization", f"{x.name} {' '.join(names)}", x.shape, True)

    def activation(self, x):
        op = self.pick("Relu", "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh")
        self.add(op, x.name, x.shape)

    def pool(self, x):
        channels, *space = x.shape
        kernel = [min(2, n) for n in space]
        settings, sizes = self.windows(space, kernel)
        op = self.pick("MaxPool", "AveragePool")
        settings |= {"kernel_shape": kernel}
        self.add(op, x.name, (channels, *sizes), True, **settings)

    def like(self, x, different=None):
        """Signals of the same axes, and of one shape but for one axis."""

        def fits(y):
            pairs = list(zip(x.shape, y.shape, strict=True))
            return all(m == n for i, (m, n) in enumerate(pairs) if i != different)

        same_rank = [y for y in self.signals if len(y.shape) == len(x.shape)]
        return [y for y in same_rank if y.is_image == x.is_image and fits(y)]

    def joined(self, x):
        axis = self.pick(0, 1, 2)
        y = self.pick(*self.like(x, axis))
        shape = [n + (y.shape[i] if i == axis else 0) for i, n in enumerate(x.shape)]
        if math.prod(shape) < 2000:
            self.add("Concat", f"{x.name} {y.name}", shape, axis=axis + 1)

    def summed(self, x):
        y = self.pick(*self.like(x))
        self.add(self.pick("Add", "Sub", "Mul", "Max"), f"{x.name} {y.name}", x.shape)

    def gated(self, x):
        mean = self.add("GlobalAveragePool", x.name, (x.shape[0], 1, 1))
        gate = self.add("Sigmoid", mean.name, mean.shape)
        self.add("Mul", f"{gate.name} {x.name}", x.shape)

    def resized(self, x):
        if max(x.shape[1:]) > 12:
            return
        mode = self.pick("nearest", "linear")
        scales = self.numbers(np.array([1, 1, 2, 2], "float32"))
        sizes = [2 * n for n in x.shape[1:]]
        self.add("Resize", f"{x.name} - {scales}", (x.shape[0], *sizes), mode=mode)

    def padded(self, x):
        pads = self.ints(0, 0, 1, 0, 0, 0, 0, 2)
        c, h, w = x.shape
        self.add("Pad", f"{x.name} {pads}", (c, h + 1, w + 2))

    def cut(self, x):
        c, h, w = x.shape
        if min(h, w) > 2:
            inputs = " ".join(
                [x.name, self.ints(1, 0), self.ints(h, -1), self.ints(2, 3)]
            )
            self.add("Slice", inputs, (c, h - 1, w - 1))

    def scaled(self, x):
        shape = (x.shape[0], *[1] * (len(x.shape) - 1))
        if not x.is_image:
            shape = self.pick(shape, x.shape[-1:])
        op = self.pick("Add", "Mul", "Sub")
        self.add(op, f"{x.name} {self.constant(*shape, low=0.2)}", x.shape)

    def softmax(self, x):
        self.add("Softmax", x.name, x.shape, axis=self.pick(1, len(x.shape)))

    def target(self, x, shape):
        """The name of a shape: a constant, or computed of the shape of a tensor."""
        if self.pick(True, False):
            first = -1 if self.batch == "n" else self.inputs["x"].shape[0]
            return self.ints(first, *shape)
        found = self.add("Shape", x.name, (4,), False)
        samples = self.add("Gather", f"{found.name} {self.ints(0)}", (1,), False)
        inputs = f"{samples.name} {self.ints(*shape)}"
        made = self.add("Concat", inputs, (len(shape) + 1,), False, axis=0)
        self.signals = self.signals[:-3]
        return made.name

    def tokens(self, x):
        c, h, w = x.shape
        inputs = f"{x.name} {self.target(x, (c, h * w))}"
        found = self.add("Reshape", inputs, (c, h * w), False)
        self.add("Transpose", found.name, (h * w, c), False, perm=[0, 2, 1])

    def back_and_forth(self, x):
        c, h, w = x.shape
        y = self.add("Transpose", x.name, (h, w, c), False, perm=[0, 2, 3, 1])
        weights = self.constant(c, 4)
        y = self.add("MatMul", f"{y.name} {weights}", (h, w, 4), False)
        y = self.add("Transpose", y.name, (4, h, w), False, perm=[0, 3, 1, 2])
        self.signals = [s for s in self.signals if len(s.shape) != 3 or s.is_image]
        self.convolution(y)

    def parts(self, x):
        c, h, w = x.shape
        if c > 1:
            names = f"p{len(self.nodes)} q{len(self.nodes)}"
            sizes = self.ints(1, c - 1)
            made = node("Split", f"{x.name} {sizes}", names, axis=1)
            self.nodes.append(made)
            for name, size in zip(names.split(), (1, c - 1), strict=True):
                self.signals.append(Signal(name, (size, h, w), x.is_image))

    def shuffled(self, x):
        c, h, w = x.shape
        if c % 2:
            return
        inputs = f"{x.name} {self.target(x, (2, c // 2, h, w))}"
        y = self.add("Reshape", inputs, (2, c // 2, h, w), False)
        y = self.add(
            "Transpose", y.name, (c // 2, 2, h, w), False, perm=[0, 2, 1, 3, 4]
        )
        inputs = f"{y.name} {self.target(x, (c, h, w))}"
        z = self.add("Reshape", inputs, x.shape, False)
        self.signals = [s for s in self.signals if len(s.shape) < 4 and s is not z]
        self.convolution(z)

    def pooled_globally(self, x):
        y = self.add("GlobalAveragePool", x.name, (x.shape[0], 1, 1))
        self.signals.remove(y)
        self.add("Flatten", y.name, x.shape[:1], False)

    def flattened(self, x):
        y = self.add("Flatten", x.name, (math.prod(x.shape),), False)
        self.gemm(y)
        self.signals.remove(y)

    def gemm(self, x):
        weights = self.constant(4, x.shape[0])
        inputs = f"{x.name} {weights} {self.constant(4)}"
        self.add("Gemm", inputs, (4,), False, transB=1)

    def product(self, x):
        inputs = f"{x.name} {self.constant(x.shape[1], 4)}"
        y = self.add("MatMul", inputs, (x.shape[0], 4), False)
        self.add("Add", f"{self.constant(4)} {y.name}", y.shape, False)

    def layer_normalization(self, x):
        if self.opset < 17:
            return
        names = f"{self.constant(x.shape[1], low=0.5)} {self.constant(x.shape[1])}"
        self.add("LayerNormalization", f"{x.name} {names}", x.shape, epsilon=1e-2)

    def gelu(self, x):
        half, one, root = (self.numbers(np.float32(n)) for n in (0.5, 1, math.sqrt(2)))
        u = self.add("Div", f"{x.name} {root}", x.shape)
        u = self.add("Erf", u.name, x.shape)
        u = self.add("Add", f"{u.name} {one}", x.shape)
        v = self.add("Mul", f"{x.name} {half}", x.shape)
        self.add("Mul", self.pick(f"{u.name} {v.name}", f"{v.name} {u.name}"), x.shape)

    def attention(self, x):
        length = x.shape[0]
        q, k, v = (self.heads(x) for _ in range(3))
        k = self.add("Transpose", k.name, (2, 3, length), False, perm=[0, 1, 3, 2])
        y = self.add("MatMul", f"{q.name} {k.name}", (2, length, length), False)
        y = self.add("Softmax", y.name, y.shape, False, axis=-1)
        y = self.add("MatMul", f"{y.name} {v.name}", (2, length, 3), False)
        y = self.add("Transpose", y.name, (length, 2, 3), False, perm=[0, 2, 1, 3])
        inputs = f"{y.name} {self.target(x, (length, 6))}"
        y = self.add("Reshape", inputs, (length, 6), False)
        self.signals = [s for s in self.signals if len(s.shape) < 3 or s.is_image]
        self.product(y)

    def heads(self, x):
        length, width = x.shape
        weights = self.constant(width, 6)
        y = self.add("MatMul", f"{x.name} {weights}", (length, 6), False)
        inputs = f"{y.name} {self.target(x, (length, 2, 3))}"
        y = self.add("Reshape", inputs, (length, 2, 3), False)
        return self.add("Transpose", y.name, (2, length, 3), False, perm=[0, 2, 1, 3])

    def swapped(self, x):
        self.add("Transpose", x.name, x.shape[::-1], False, perm=[0, 2, 1])

    def mean(self, x):
        if self.opset < 18:
            self.add("ReduceMean", x.name, x.shape[1:], False, axes=[1], keepdims=0)
        else:
            inputs = f"{x.name} {self.ints(1)}"
            self.add("ReduceMean", inputs, x.shape[1:], False, keepdims=0)

    def normalized(self, x):
        names = [self.constant(x.shape[0], low=0.5) for _ in range(4)]
        self.add("BatchNormalization", f"{x.name} {' '.join(names)}", x.shape, True)

    def first(self, x):
        index = self.numbers(np.int64(0))
        self.add("Gather", f"{x.name} {index}", x.shape[1:], False, axis=1)
