"""The JSON files of the programs: what they hold, and how they are read."""

from typing import Any, TypedDict

from snn_keras.untrusted import read_json

REMEDY = "remove the file, and everything is measured again."

Settled = TypedDict(
    "Settled",
    {
        "samples": int,
        "same_answer": int,
        "largest_difference": float,
        "off_by_more_than_1e-4": int,
        "largest_output": float,
        "steps_mean": float,
        "steps_max": int,
        "input_steps": int,
    },
)


class Unfinished(TypedDict, total=False):
    """Some of a row's figures, as `apps.results` measures them one after the other."""

    dataset: str
    source: str
    method: str
    trained: str
    samples: int
    kept_epoch: int
    spikes_at_4: float
    energy_at_4: float
    settled: Settled
    settled_in_float64: Settled
    ann: float
    timesteps: list[int]
    snn: list[float]
    extra_steps: int
    seconds: float
    right: dict[str, str]


class Figures(TypedDict):
    """All figures of a row, of which some rows have more."""

    dataset: str
    source: str
    method: str
    trained: str
    samples: int
    spikes_at_4: float
    ann: float
    timesteps: list[int]
    snn: list[float]
    extra_steps: int


class Trained(TypedDict):
    """What `apps.train` writes beside a network; older files lack the settings."""

    command: str
    history: dict[str, list[float]]


class Measured(TypedDict):
    """A part of the figures of `apps.benchmark`."""

    what: str
    machine: str
    rounds: int
    figures: dict[str, dict[str, Any]]


def read_trained(path):
    """What a training wrote beside its network."""
    remedy = "remove the file, and the network is trained again."
    return read_json(path, Trained, "what a training wrote", remedy)


def read_measured(path, kind=dict[str, Any]):
    """The figures that a program has measured so far; none where there is no file."""
    return read_json(path, kind, "figures", REMEDY) if path.exists() else {}
