"""Layers for sequences: attention, recurrence, masks, wrappers."""

from keras import layers, ops

from .case import called, every, use

LINE, IMAGE = ((4, 2),), ((4, 4, 2),)
PAIR = ((4, 2), (4, 2))


def cases():
    """All cases of this module."""
    return [*_sequences(), *_wrappers()]


def _sequences():
    sequences = {"return_sequences": [False, True]}
    query = ((4, 2),)
    found = [
        called(
            "layers.Embedding",
            "of integers",
            lambda x: layers.Embedding(8, 3)(x),
            dtype="int32",
        ),
        use("layers.Embedding", 8, 3),
        use("layers.Embedding", 8, 3, mask_zero=True, dtype="int32"),
        use("layers.ReversibleEmbedding", 8, 3, dtype="int32"),
        called(
            "layers.ReversibleEmbedding",
            "reverse",
            lambda x: layers.ReversibleEmbedding(8, 2)(x, reverse=True),
            *LINE,
        ),
        use("layers.Masking", shapes=LINE, exact=True),
        use("layers.Masking", 0.5, shapes=LINE, exact=True),
        called(
            "layers.Masking",
            "and what reads the mask",
            lambda x: layers.LSTM(3)(layers.Masking()(x)),
            *LINE,
        ),
        use("layers.Attention", shapes=PAIR, listed=True),
        use(
            "layers.Attention",
            use_scale=True,
            score_mode="concat",
            shapes=PAIR,
            listed=True,
        ),
        use("layers.AdditiveAttention", shapes=PAIR, listed=True),
        use("layers.MultiHeadAttention", 2, 3, shapes=PAIR),
        called(
            "layers.MultiHeadAttention",
            "x, x, causal",
            lambda x: layers.MultiHeadAttention(1, 2)(x, x, use_causal_mask=True),
            *query,
        ),
        called(
            "layers.MultiHeadAttention",
            "with scores",
            lambda x: layers.MultiHeadAttention(1, 2)(
                x, x, return_attention_scores=True
            ),
            *query,
        ),
        use("layers.GroupQueryAttention", 2, 2, 1, shapes=PAIR),
        called(
            "layers.RNN",
            "SimpleRNNCell",
            lambda x: layers.RNN(layers.SimpleRNNCell(3))(x),
            *LINE,
        ),
        called(
            "layers.StackedRNNCells",
            "in RNN",
            lambda x: layers.RNN(
                layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(3)])
            )(x),
            *LINE,
        ),
        *(
            called(
                f"layers.{name}",
                "in RNN",
                lambda x, n=name: layers.RNN(getattr(layers, n)(3))(x),
                *LINE,
            )
            for name in ("SimpleRNNCell", "LSTMCell", "GRUCell")
        ),
    ]
    for name in ("SimpleRNN", "LSTM", "GRU"):
        found += every(f"layers.{name}", sequences, LINE, units=3)
        found += [
            use(f"layers.{name}", 3, go_backwards=True, unroll=True, shapes=LINE),
            use(f"layers.{name}", 3, return_state=True, shapes=LINE),
        ]
    for rank, shape in ((1, (2, 4, 2)), (2, (2, 2, 2, 2)), (3, (2, 2, 2, 2, 1))):
        found += every(
            f"layers.ConvLSTM{rank}D", sequences, (shape,), filters=2, kernel_size=1
        )
    return found


def _wrappers():
    timed, spectral = layers.TimeDistributed, layers.SpectralNormalization
    both = layers.Bidirectional
    made = [
        ("Dense", lambda: timed(layers.Dense(3)), LINE, True),
        ("Dense, tanh", lambda: timed(layers.Dense(3, "tanh")), LINE, False),
        ("MaxPooling1D", lambda: timed(layers.MaxPooling1D(2)), IMAGE, True),
        ("LayerNormalization", lambda: timed(layers.LayerNormalization()), LINE, False),
        ("Softmax, axis=0", lambda: timed(layers.Softmax(axis=0)), LINE, False),
        ("LSTM", lambda: timed(layers.LSTM(2)), IMAGE, False),
        ("Dropout", lambda: timed(layers.Dropout(0.5)), LINE, True),
        ("Dense", lambda: spectral(layers.Dense(3)), LINE, True),
        ("Conv1D", lambda: spectral(layers.Conv1D(3, 2)), LINE, True),
        ("LSTM", lambda: both(layers.LSTM(2)), LINE, False),
        (
            "GRU, sum",
            lambda: both(layers.GRU(2, return_sequences=True), merge_mode="sum"),
            LINE,
            False,
        ),
        ("x * 2", lambda: layers.Lambda(lambda x: x * 2), LINE, True),
        ("mean of samples", lambda: layers.Lambda(_mean), LINE, False),
    ]
    return [
        called(
            f"layers.{type(make()).__name__}",
            words,
            lambda x, make=make: make()(x),
            *shapes,
            exact=exact,
        )
        for words, make, shapes, exact in made
    ]


def _mean(x):
    return ops.mean(x, axis=0, keepdims=True)
