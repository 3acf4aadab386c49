"""Prints NeuroBench's metrics of a network of `test_neurobench`, as JSON.

    python neurobench_program.py net.npz timesteps

It runs without Keras: NeuroBench is PyTorch's.
"""

import json
import sys

import numpy as np
import snntorch
import torch
from neurobench.metrics.manager.static_manager import StaticMetricManager
from neurobench.metrics.manager.workload_manager import WorkloadMetricManager
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import (
    ActivationSparsity,
    MembraneUpdates,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel


def connection(arrays, name):
    """A dense or convolutional layer with the weights of Keras."""
    kernel, bias = (torch.from_numpy(arrays[f"{name}_{x}"]) for x in ("kernel", "bias"))
    if kernel.ndim == 2:
        layer = torch.nn.Linear(*kernel.shape)
        layer.weight.data = kernel.T.contiguous()
    else:
        height, width, inputs, outputs = kernel.shape
        padding = "same" if name == "second" else "valid"
        layer = torch.nn.Conv2d(inputs, outputs, (height, width), padding=padding)
        layer.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
    layer.bias.data = bias
    return layer


def neurons():
    """Integrate-and-fire neurons of snnTorch as the package has them.

    They fire from the threshold on, and subtract it at once.
    """
    return snntorch.Leaky(
        beta=1.0,
        threshold=1.0,
        spike_grad=lambda x: (x >= 0).to(x.dtype),
        reset_mechanism="subtract",
        reset_delay=False,
        init_hidden=True,
    )


class Network(torch.nn.Module):
    """Two layers of neurons. The first connection runs once, as in the package."""

    def __init__(self, arrays, timesteps):
        super().__init__()
        self.timesteps = timesteps
        for name in ("first", "second", "third"):
            setattr(self, name, connection(arrays, name))
        self.act1, self.act2 = neurons(), neurons()

    def forward(self, x):
        currents = self.first(x)
        outputs = []
        for step in range(self.timesteps):
            signal = fire(self.act1, currents, step)
            signal = fire(self.act2, self.second(signal), step)
            if signal.ndim == 4:  # Keras's order of the elements
                signal = signal.permute(0, 2, 3, 1)
            outputs.append(self.third(signal.flatten(1)))
        return torch.stack(outputs)


def fire(layer, currents, step):
    """The spikes of neurons that start at half the threshold."""
    if step == 0:
        layer.mem = torch.full_like(currents, 0.5)
    return layer(currents)


def main(path, timesteps):
    arrays = dict(np.load(path))
    x = torch.from_numpy(arrays.pop("x"))
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous()
    network = Network(arrays, timesteps)
    model = SNNTorchModel(network, custom_forward=True)
    static = StaticMetricManager([Footprint, ConnectionSparsity])
    found = static.run_metrics(model)
    held = [(*n.parameters(), *n.buffers()) for n in (network.act1, network.act2)]
    sizes = [t.numel() * t.element_size() for tensors in held for t in tensors]
    found["of neurons"] = sum(sizes)
    workload = WorkloadMetricManager(
        [ActivationSparsity, SynapticOperations, MembraneUpdates]
    )
    workload.register_hooks(model)
    workload.initialize_metrics()
    with torch.no_grad():
        outputs = model(x)
    found |= workload.run_metrics(model, outputs, (x, None), len(x), len(x))
    print(json.dumps(found))


main(sys.argv[1], int(sys.argv[2]))
