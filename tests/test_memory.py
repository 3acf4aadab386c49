"""What a conversion leaves behind when its network is no longer used."""

import gc
import weakref

import keras
import numpy as np

import snn_keras


def used():
    """Converts a network, runs it in every way; returns what is to be forgotten."""
    source = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3),
            snn_keras.layers.LSQReLU(3, initial_step=0.5),
            keras.layers.Dense(2),
        ]
    )
    snn = snn_keras.convert(source, 2, "if")
    x = np.ones((2, 4), "float32")
    snn.predict(x, verbose=0)
    snn.predict_over_time(x, verbose=0)
    snn_keras.analysis.energy(snn, x)
    stream = snn.stream()
    stream(x[:, None])
    parts = source, snn, snn.program, snn.program.graph, stream, *snn.weights
    return [weakref.ref(part) for part in parts]


def test_nothing_holds_a_network_that_is_no_longer_used():
    kept = used()
    keras.utils.clear_session(free_memory=False)
    gc.collect()
    assert [reference() for reference in kept if reference() is not None] == []
