"""The forms of exported networks, and what they are made of."""

from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.rounding import to_integers
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

# "unrolled": a call runs all time steps; "streaming": a call runs one of them.
FORMS = ("unrolled", "streaming")


def check_form(form: str) -> None:
    """Raises a ValueError unless there is such a form."""
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}. Received: form={form!r}")


def integers_of(
    snn: SpikingModel | IntegerNetwork, data: Inputs, input_dtype: str, function: str
) -> IntegerNetwork:
    """The integer network that is exported.

    Args:
        snn: A spiking network, or an integer network, which is returned.
        data, input_dtype: As for `to_integers`.
        function: The name of the function that exports it, for errors.

    Raises:
        ValueError: if `data` is missing.
        ConversionError: if layers have no integer form.
    """
    if isinstance(snn, IntegerNetwork):
        return snn
    if data is None:
        raise ValueError(
            "data is missing: inputs as the network takes them, whose range sets the "
            f"input's scale. Remedy: {function}(snn, path, x_train[:1000])."
        )
    return to_integers(snn, data, input_dtype)
