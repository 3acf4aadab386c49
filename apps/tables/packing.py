"""Which images a network answers right, as text for metrics files."""

import base64

import numpy as np


def packed(right):
    """Booleans `(samples,)` as text, a bit each."""
    return base64.b64encode(np.packbits(right)).decode()


def unpacked(text, samples):
    """The booleans that `packed` made `text` of."""
    bits = np.frombuffer(base64.b64decode(text), "uint8")
    return np.unpackbits(bits, count=samples).astype(bool)
