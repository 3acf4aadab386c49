"""SpikingJelly: the benchmark's network in it, and NIR files read by it."""

import importlib.util

import numpy as np

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
BLOCKS = 2


def available():
    """The version of SpikingJelly that is installed, or None."""
    import importlib.metadata

    try:
        return importlib.metadata.version("spikingjelly")
    except importlib.metadata.PackageNotFoundError:
        return None


def resnet18(weights, classes=10):
    """ResNet-18 in its CIFAR form, integrate-and-fire neurons with threshold 1.

    Args:
        weights: `{layer name: list of arrays}`, as the layers of
            `snn_keras.applications.resnet18` give them.

    Returns:
        A module: images `(N, 3, 32, 32)` and T to the mean over T steps of its
        outputs, `(N, classes)`.
    """
    import torch
    from spikingjelly.activation_based import functional, layer, neuron

    class Unit(torch.nn.Module):
        """Convolution and normalization, at every step or once."""

        def __init__(self, name, inputs, outputs, size, strides, step_mode="m"):
            super().__init__()
            self.conv = layer.Conv2d(
                inputs, outputs, size, strides, size // 2, bias=False
            )
            self.norm = layer.BatchNorm2d(outputs, eps=1e-5)
            functional.set_step_mode(self, step_mode)
            (kernel,) = weights[name]
            gamma, beta, mean, variance = map(torch.from_numpy, weights[f"{name}_norm"])
            kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            self.conv.weight.data = torch.from_numpy(kernel)
            self.norm.weight.data, self.norm.bias.data = gamma, beta
            self.norm.running_mean, self.norm.running_var = mean, variance

        def forward(self, x):
            return self.norm(self.conv(x))

    def fire():
        return neuron.HalfThresholdIFNode(v_threshold=1.0, step_mode="m")

    class Block(torch.nn.Module):
        def __init__(self, name, inputs, outputs, strides):
            super().__init__()
            self.first = Unit(f"{name}_conv1", inputs, outputs, 3, strides)
            self.second = Unit(f"{name}_conv2", outputs, outputs, 3, 1)
            self.shortcut = torch.nn.Identity()
            if strides > 1 or inputs != outputs:
                self.shortcut = Unit(f"{name}_shortcut", inputs, outputs, 1, strides)
            self.fire1, self.fire2 = fire(), fire()

        def forward(self, x):
            y = self.second(self.fire1(self.first(x)))
            return self.fire2(y + self.shortcut(x))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = Unit("stem", 3, 64, 3, 1, step_mode="s")
            self.fire = fire()
            blocks, inputs = [], 64
            for stage, (filters, first) in enumerate(STAGES, start=1):
                for i in range(1, BLOCKS + 1):
                    name = f"stage{stage}_block{i}"
                    strides = first if i == 1 else 1
                    blocks.append(Block(name, inputs, filters, strides))
                    inputs = filters
            self.blocks = torch.nn.Sequential(*blocks)
            self.head = layer.Linear(512, classes, step_mode="m")
            kernel, bias = weights["head"]
            self.head.weight.data = torch.from_numpy(kernel.T.copy())
            self.head.bias.data = torch.from_numpy(bias)

        def forward(self, x, timesteps):
            # What precedes the first neuron runs once, as in the library's examples.
            current = self.stem(x)
            current = current.unsqueeze(0).expand(timesteps, *current.shape)
            spikes = self.blocks(self.fire(current))
            return self.head(spikes.mean((3, 4))).mean(0)

    return Net().eval()


def runs(weights, images, timesteps, batches, threads):
    """What the benchmark times: `{name: function}`, and their outputs.

    Args:
        weights: As for `resnet18`.
        images: `(N, 32, 32, 3)`.
        timesteps: Numbers of time steps.
        batches: `{images of a batch: times that a case runs it}`.
        threads: Cores to use.
    """
    import torch
    from spikingjelly.activation_based import functional

    torch.set_num_threads(threads)
    network = resnet18(weights)
    compiled = torch.compile(network)

    def run(module, x, steps, times):
        with torch.inference_mode():
            for _ in range(times):
                functional.reset_net(network)
                outputs = module(x, steps)
            return outputs.numpy()

    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return {
        f"{form}, batch {batch}, T={steps}": (
            lambda module=module, part=x[:batch], steps=steps, times=times: run(
                module, part, steps, times
            )
        )
        for form, module in (("eager", network), ("compiled", compiled))
        for batch, times in batches.items()
        for steps in timesteps
    }


# --- NIR -----------------------------------------------------------------------------

NIR_REPAIRS = {
    "as it loads the file": {},
    "reset by subtraction": {"subtract": True},
    "and started from half the threshold": {"subtract": True, "charged": True},
}


def reads_nir() -> bool:
    """Whether SpikingJelly can read NIR files here."""
    return all(importlib.util.find_spec(x) for x in ("spikingjelly", "nir", "nirtorch"))


def run_nir(path, images, timesteps, subtract=False, charged=False):
    """Runs a NIR file in SpikingJelly.

    Args:
        path: The file.
        images: `(batch, channels, height, width)`, the input of every step.
        timesteps: Time steps.
        subtract: Whether to set its neurons to reset by subtraction.
        charged: Whether to start them from half their threshold.

    Returns:
        Whether each neuron fired, `{node: (batch, time, ...)}` channels last, and the
        mean output.
    """
    import nir
    import torch
    from spikingjelly.activation_based import neuron, nir_exchange

    graph = nir.read(str(path))
    model = nir_exchange.import_from_nir(graph, dt=1.0)
    sent = {}
    modules = dict(model.named_modules())
    for name, module in modules.items():
        inside = getattr(module, "module", None)
        if isinstance(inside, neuron.IFNode):
            inside.v_reset = None if subtract else inside.v_reset
            inside.v = inside.v_threshold / 2 if charged else 0.0
            sent[name] = []
            module.register_forward_hook(
                lambda _, __, y, name=name: sent[name].append(y[0].numpy() != 0)
            )
    x, state, total = torch.from_numpy(np.ascontiguousarray(images)), None, 0.0
    with torch.no_grad():
        for _ in range(timesteps):
            y, state = model(x, state)
            total = total + y.numpy()
    spikes = {name: np.stack(z, 1) for name, z in sent.items()}
    spikes = {k: np.moveaxis(z, 2, -1) if z.ndim == 5 else z for k, z in spikes.items()}
    return spikes, total / timesteps
