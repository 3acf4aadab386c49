"""Writes TFLite files, by the tables of the schema."""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np

from snn_keras.typing import Array

IDENTIFIER = b"TFL3"
METADATA = "snn_keras"
_CHECKSUM = '"sha256": "%064x"'


def schema() -> ModuleType:
    """The generated module of the TFLite schema.

    Raises:
        ImportError: if ai-edge-litert is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ImportError(
            "TFLite files need ai-edge-litert. Remedy: pip install ai-edge-litert"
        ) from error
    return schema_py_generated


@dataclasses.dataclass(frozen=True)
class Quantization:
    """The quantization of a tensor: `x = scale (q - zero_point)`.

    Attributes:
        scale: A number, or one for each entry along `axis`.
        zero_point: An integer.
        axis: The axis of several scales.
    """

    scale: object = 1.0
    zero_point: int = 0
    axis: int = 0

    def key(self) -> tuple:
        """What equal quantizations have in common, and others have not."""
        return np.asarray(self.scale, np.float32).tobytes(), self.zero_point, self.axis


class File:
    """Builds a TFLite file with one graph."""

    def __init__(self, name: str) -> None:
        self._s = schema()
        self._model = self._s.ModelT()
        self._model.version = 3
        self._model.description = name
        self._model.buffers = [self._s.BufferT()]
        self._model.operatorCodes = []
        self._graph = self._s.SubGraphT()
        self._graph.name = name
        self._graph.tensors = []
        self._graph.operators = []
        self._model.subgraphs = [self._graph]
        self._codes = {}
        self._constants = {}
        self._buffers = {}
        self._kinds = []

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        quantization: Quantization | None = None,
        data: Array = None,
    ) -> int:
        """Adds a tensor; returns its index.

        Args:
            name: Its name.
            shape: Its shape, with the batch.
            dtype: "int8", "uint8", "int16", "int32", "int64", "float32" or "bool".
            quantization: A `Quantization`, or None.
            data: Its constant value, or None.
        """
        tensor = self._s.TensorT()
        tensor.name = name
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = getattr(self._s.TensorType, dtype.upper())
        tensor.buffer = 0 if data is None else self._buffer(np.asarray(data, dtype))
        if quantization is not None:
            parameters = self._s.QuantizationParametersT()
            scale = np.atleast_1d(np.asarray(quantization.scale, np.float32))
            parameters.scale = scale
            parameters.zeroPoint = np.full(
                scale.shape, quantization.zero_point, np.int64
            )
            parameters.quantizedDimension = quantization.axis
            tensor.quantization = parameters
        self._graph.tensors.append(tensor)
        self._kinds.append((dtype, quantization))
        return len(self._graph.tensors) - 1

    def kind(self, number: int) -> tuple[str, Quantization | None]:
        """The dtype and the quantization of a tensor."""
        return self._kinds[number]

    def shape(self, number: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(int(n) for n in self._graph.tensors[number].shape)

    def constant(
        self,
        value: Array,
        dtype: str = "int32",
        quantization: Quantization | None = None,
    ) -> int:
        """Adds a constant tensor unless there is one; returns its index."""
        value = np.ascontiguousarray(value, dtype)
        key = value.tobytes(), value.shape, dtype, quantization and quantization.key()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self.tensor(
                name, value.shape, dtype, quantization, value
            )
        return self._constants[key]

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str | None = None,
        version: int = 1,
        **settings,
    ) -> None:
        """Adds an operator.

        Args:
            kind: Its name in the schema's `BuiltinOperator`.
            inputs, outputs: Indices of tensors.
            options: Its table of options in the schema, such as "Pool2DOptions".
            version: Its version.
            **settings: The values of the options.
        """
        code = getattr(self._s.BuiltinOperator, kind), version
        if code not in self._codes:
            entry = self._s.OperatorCodeT()
            entry.builtinCode, entry.version = code
            # Old readers use this field, which has only 127 codes.
            entry.deprecatedBuiltinCode = min(code[0], 127)
            self._codes[code] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(entry)
        operator = self._s.OperatorT()
        operator.opcodeIndex = self._codes[code]
        operator.inputs = np.asarray(inputs, np.int32)
        operator.outputs = np.asarray(outputs, np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(self._s.BuiltinOptions, options)
            operator.builtinOptions = getattr(self._s, f"{options}T")()
            for name, value in settings.items():
                if not hasattr(operator.builtinOptions, name):
                    raise AttributeError(f"{options} has no {name}")
                setattr(operator.builtinOptions, name, value)
        self._graph.operators.append(operator)

    def _copy_what_is_shared(self):
        """Lets a RESHAPE read a copy of what others read, too.

        TensorFlow Lite's RESHAPE shares memory with what it reads, and operators that
        work in place overwrite it, whoever else has yet to read it.
        """
        operators, self._graph.operators = self._graph.operators, []
        read = collections.Counter(x for each in operators for x in set(each.inputs))
        reshape = self._codes.get((self._s.BuiltinOperator.RESHAPE, 1))
        for operator in operators:
            x, y = operator.inputs[0], operator.outputs[0]
            if operator.opcodeIndex == reshape and read[x] > 1 and read[y]:
                copy = self.tensor(f"copy_of_{x}_{y}", self.shape(x), *self.kind(x))
                self.operator("MAXIMUM", [x, x], [copy], "MaximumMinimumOptions")
                operator.inputs[0] = copy
            self._graph.operators.append(operator)

    def content(
        self,
        key: str,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        metadata: dict,
    ) -> bytes:
        """The file's content.

        Args:
            key: Name of the signature.
            inputs, outputs: `{name: index of a tensor}`.
            metadata: A description of the network, a dict for JSON.
        """
        import flatbuffers

        self._copy_what_is_shared()
        self._graph.inputs = np.asarray(list(inputs.values()), np.int32)
        self._graph.outputs = np.asarray(list(outputs.values()), np.int32)
        signature = self._s.SignatureDefT()
        signature.signatureKey = key
        signature.subgraphIndex = 0
        signature.inputs = [self._tensor_map(*item) for item in inputs.items()]
        signature.outputs = [self._tensor_map(*item) for item in outputs.items()]
        self._model.signatureDefs = [signature]
        text = json.dumps(metadata)[:-1] + ", " + _CHECKSUM % 0 + "}"
        entry = self._s.MetadataT()
        entry.name = METADATA
        entry.buffer = self._buffer(np.frombuffer(text.encode(), np.uint8))
        self._model.metadata = [entry]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), IDENTIFIER)
        return signed(bytes(builder.Output()))

    def _tensor_map(self, name, number):
        entry = self._s.TensorMapT()
        entry.name, entry.tensorIndex = name, number
        return entry

    def _buffer(self, data):
        content = np.ascontiguousarray(data).tobytes()
        if content not in self._buffers:  # tensors may share one
            buffer = self._s.BufferT()
            buffer.data = np.frombuffer(content, np.uint8)
            self._buffers[content] = len(self._model.buffers)
            self._model.buffers.append(buffer)
        return self._buffers[content]


def signed(content: bytes) -> bytes:
    """`content` with its checksum, which is computed with zeros in its place."""
    empty = (_CHECKSUM % 0).encode()
    digest = int(hashlib.sha256(content).hexdigest(), 16)
    return content.replace(empty, (_CHECKSUM % digest).encode())


def is_signed(content: bytes) -> bool:
    """Whether a file is as `to_tflite` wrote it, by its checksum."""
    head, _ = _CHECKSUM.split("%064x")
    start = content.rfind(head.encode())
    digest = content[start + len(head) : start + len(head) + 64]
    zeros = content[: start + len(head)] + b"0" * 64 + content[start + len(head) + 64 :]
    return start >= 0 and hashlib.sha256(zeros).hexdigest().encode() == digest
