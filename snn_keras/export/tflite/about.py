"""What a TFLite file says of itself beside its graph."""

import dataclasses
import json
import math
import os

from snn_keras import files
from snn_keras.export.integer import IntegerNetwork, Output
from snn_keras.export.tflite.flatbuffer import IDENTIFIER, METADATA, is_signed, schema
from snn_keras.records import checked
from snn_keras.untrusted import check_room, reading, room_of

WIDEST = 8  # bytes of an entry of a tensor
# Bytes of the types that files have: float32, int32, uint8, int64, bool, int16, int8.
WIDTHS = {0: 4, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1}


@dataclasses.dataclass(frozen=True)
class About:
    """What a reader of a file needs to know of it.

    Attributes:
        form: "unrolled" or "streaming".
        timesteps: Time steps of a run.
        batch_size: Number of samples per call.
        inputs: The names of the inputs.
        outputs: As those of the integer network.
        left_out: As of the integer network.
    """

    form: str
    timesteps: int
    batch_size: int
    inputs: list[str]
    outputs: list[Output]
    left_out: list[str]

    @classmethod
    def of(cls, network: IntegerNetwork, form: str, batch_size: int) -> "About":
        """What is known of an integer network."""
        names = [spec.name for spec in network.inputs]
        given = form, network.timesteps, batch_size, names, network.outputs
        return cls(*given, network.left_out)


def read_file(path: str | os.PathLike) -> tuple[bytes, About]:
    """A file that `to_tflite` wrote, and what it says of itself.

    Raises:
        ValueError: if `to_tflite` did not write the file, or if it is damaged.
        FileNotFoundError: if the file does not exist.
    """
    content = files.read(path, "snn_keras.export.to_tflite(snn, path, data)")
    schema()
    with reading(path, "a TFLite file", "export it again, or copy it again."):
        if content[4:8] != IDENTIFIER:
            raise ValueError("it has not the mark of one")
        if not is_signed(content):
            raise ValueError(
                "it is damaged, cut short, or was not written by "
                "snn_keras.export.to_tflite: its checksum is wrong"
            )
        model = schema().Model.GetRootAs(content)
        _check_tensors(model, room_of(path))
        return content, checked(_metadata(model), About)


def _metadata(model):
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    (entry,) = [x for x in entries if x.Name() == METADATA.encode()]
    said = json.loads(bytes(model.Buffers(entry.Buffer()).DataAsNumpy()))
    return {name: value for name, value in said.items() if name != "sha256"}


def _check_tensors(model, room):
    """Checks what the tensors take when a run has room for all of them."""
    needed = 0
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.TensorsLength()):
            tensor = graph.Tensors(j)
            shape = tensor.ShapeAsNumpy() if tensor else ()
            lengths = () if isinstance(shape, int) else shape
            width = WIDTHS.get(tensor.Type(), WIDEST) if tensor else WIDEST
            needed += width * abs(math.prod(map(float, lengths)))
            check_room(room, needed)
