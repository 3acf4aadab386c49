"""Random networks in ONNX files, against ONNX Runtime."""

import pytest

from tests.onnx_files import check
from tests.onnx_networks import Drawer


def check_network(seed, steps=10):
    opset = 13 + seed % 10
    batch = ("n", 1, 2)[seed % 3]
    drawer = Drawer(seed, opset, batch)
    model, images = drawer.network(steps)
    return check(model, drawer.inputs, ["x"], images)


@pytest.mark.parametrize("seed", range(12))
def test_a_random_network_computes_what_onnx_runtime_does(seed):
    check_network(seed)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 500, 50))
def test_random_networks_compute_what_onnx_runtime_does(start):
    for seed in range(start, start + 50):
        check_network(seed, steps=14)
