"""Biases that take away the mean error of a converted network."""

import numpy as np
from keras import ops, tree

from snn_keras.convert import normalize
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.inputs import batches, check_data
from snn_keras.neurons import Spiking

# A mean error this small, as a share of the threshold, is left; a few hundred samples
# do not tell more.
_TOLERANCE = 0.003
_MOST_ROUNDS = 20


def correct_biases(ann, snn, data, batch_size=32, most_rounds=_MOST_ROUNDS):
    r"""Corrects the currents of a spiking network until its mean errors are gone.

    $$b_c \leftarrow b_c + mean(a_c - \varphi_c)$$

    over samples and positions, for each channel c, with $a$ the source's
    activation and $\varphi$ the decoded spikes. All layers at once, again and again:
    a correction changes what the layers behind it receive, and a neuron that does not
    fire answers it in part. It ends when the root mean square of every layer's errors
    is below 0.3 % of its threshold.

    Args:
        ann: The source model, float or quantized.
        snn: The spiking model, built with `bias_correction`.
        data: Inputs to measure on.
        batch_size: Samples measured at a time.
        most_rounds: Where it ends at the latest.

    Source: METHODS "Threshold from data"; to repeat it is ours.
    """
    graph = normalize.read(ann)
    data = check_data(data, graph)
    layers = {layer.name: layer for layer in snn.layers if isinstance(layer, Spiking)}
    source, spiking = SourceProbe(ann, graph, list(layers)), SpikingProbe(snn)
    expected = _channel_means(source, data, batch_size, layers)
    for _ in range(most_rounds):
        received = _channel_means(spiking, data, batch_size, layers)
        errors = {name: expected[name] - received[name] for name in layers}
        if all(_is_small(errors[name], layer) for name, layer in layers.items()):
            return
        for name, error in errors.items():
            snn.get_layer(f"{name}_bias").bias.assign_add(error)


def _is_small(errors, layer):
    threshold = np.mean(ops.convert_to_numpy(layer.cell.theta))
    return np.sqrt(np.mean(np.square(errors))) <= _TOLERANCE * threshold


def _channel_means(probe, data, batch_size, names):
    """The mean of each channel of each named layer over `data`."""
    sums, count = dict.fromkeys(names, 0.0), 0
    for batch in batches(data, batch_size):
        _, signals = probe.predict_on_batch(batch)
        size = len(tree.flatten(batch)[0])
        count += size
        for name in names:
            signal = signals[name]
            if isinstance(signal, tuple):
                signal = signal[1]
            channels = signal.reshape(-1, signal.shape[-1]).astype("float64")
            sums[name] = sums[name] + size * channels.mean(axis=0)
    return {name: (total / count).astype("float32") for name, total in sums.items()}
