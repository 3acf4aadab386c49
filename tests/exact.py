"""Ways to run a network of two-bit activations that are exact."""

TWO_BITS = {"timesteps": 2, "neuron": "bit_serial"}
EXACT = [
    TWO_BITS,
    {**TWO_BITS, "fused": False},
    {"timesteps": "settle", "neuron": "signed"},
]
