"""Biases that take away the mean error of a converted network."""

from keras import tree

from snn_keras.convert import normalize
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.inputs import batches, check_data
from snn_keras.neurons import Spiking


def correct_biases(ann, snn, data, batch_size=32):
    r"""Corrects the currents of a spiking network, layer by layer.

    $$b_c \leftarrow b_c + mean(a_c - \varphi_c)$$

    over samples and positions, for each channel c, with $a$ the source's
    activation and $\varphi$ the decoded spikes; every layer is measured after
    those before it are corrected.

    Args:
        ann: The source model, float or quantized.
        snn: The spiking model, built with `bias_correction`.
        data: Inputs to measure on.
        batch_size: Samples measured at a time.

    Source: METHODS "Threshold from data".
    """
    graph = normalize.read(ann)
    data = check_data(data, graph)
    layers = [layer for layer in snn.layers if isinstance(layer, Spiking)]
    names = [layer.name for layer in layers]
    source, spiking = SourceProbe(ann, graph, names), SpikingProbe(snn)
    expected = _channel_means(source, data, batch_size, names)
    for name in names:
        received = _channel_means(spiking, data, batch_size, [name])
        snn.get_layer(f"{name}_bias").bias.assign_add(expected[name] - received[name])


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
