"""Inputs come in every form that `predict` takes, and are the same numbers in each."""

import itertools
import re

import keras
import numpy as np
import pytest
from keras import layers

from snn_keras import graph as graph_lib
from snn_keras import inputs
from snn_keras.inputs import arrays_of, check_data
from tests.graphs import dyadic

COUNT = 10


class Batches(keras.utils.PyDataset):
    """Batches of four samples, with an end or without."""

    def __init__(self, data, endless=False):
        super().__init__()
        self.data = data
        self.endless = endless

    @property
    def num_batches(self):
        return None if self.endless else 3

    def __getitem__(self, index):
        start = 4 * (index % 3)
        return tuple(
            keras.tree.map_structure(lambda x: x[start : start + 4], part)
            for part in self.data
        )


class Tensor:
    """A tensor as those of PyTorch are: on a device, with a gradient."""

    def __init__(self, values):
        self.values = values

    def __array__(self, *args, **kwargs):
        raise TypeError("on a device")

    def detach(self):
        return self

    def cpu(self):
        return self.values


class Sparse:
    """A matrix as those of SciPy are."""

    def __init__(self, values):
        self.values = values

    def __iter__(self):
        return iter(self.values)

    def toarray(self):
        return self.values


class Loader:
    """What gives a list of tensors a batch, as loaders of PyTorch do."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return 3

    def __iter__(self):
        for part in inputs.batches(self.x, 4):
            yield [Tensor(part), Tensor(np.zeros(len(part)))]


def one(shape=(3,), **options):
    x = keras.Input(shape, name="x", **options)
    return graph_lib.trace(keras.Model(x, layers.Identity()(x)))


def two(kind=list):
    """A model of two inputs in a list or a dict."""
    ends = [keras.Input((3,), name=name) for name in ("left", "right")]
    given = ends if kind is list else {x.name: x for x in ends}
    return graph_lib.trace(keras.Model(given, layers.Add()(ends)))


def numbers(count=COUNT):
    return dyadic(np.random.default_rng(0), (count, 3))


def dataset(*parts):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(parts)


def generator(x, *rest):
    """Batches of four: `x` itself where nothing goes with it."""
    for part in inputs.batches((x, *rest), 4):
        yield part if rest else part[0]


FORMS = {
    "array": lambda x: x,
    "tensor": keras.ops.convert_to_tensor,
    "tensor of PyTorch": Tensor,
    "sparse": Sparse,
    "lists": lambda x: x.tolist(),
    "list of one": lambda x: [x],
    "dict": lambda x: {"x": x, "other": x + 1},
    "PyDataset": lambda x: Batches((x, np.zeros(COUNT))),
    "PyDataset of x": lambda x: Batches((x,)),
    "generator of x": generator,
    "generator of (x, y)": lambda x: generator(x, np.ones(COUNT)),
    "generator of (x, y, weights)": lambda x: generator(x, np.ones(COUNT), x[:, 0]),
    "iterator": lambda x: map(lambda part: {"x": part}, generator(x)),
    "loader": Loader,
    "dataset of x": lambda x: dataset(x).batch(4).map(lambda x: x),
    "dataset of (x, y)": lambda x: dataset(x, np.ones(COUNT)).batch(4),
    "dataset of dicts": lambda x: dataset({"x": x}, np.ones(COUNT)).batch(3),
    "dataset of unknown length": lambda x: dataset(x).batch(4).filter(lambda _: True),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_numbers(form):
    x = numbers()
    found = check_data(FORMS[form](x), one())
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("form", ["list", "tuple", "dict", "PyDataset", "generator"])
def test_several_inputs(kind, form):
    x, y = numbers(), numbers() + 1
    named, listed = {"right": y, "left": x}, (x, y)
    given = {
        "list": lambda: list(listed),
        "tuple": lambda: listed,
        "dict": lambda: named,
        "PyDataset": lambda: Batches((named, np.zeros(COUNT))),
        "generator": lambda: ((part,) for part in inputs.batches(listed, 4)),
    }
    graph = two(kind)
    if kind is dict and form in ("list", "tuple", "generator"):
        with pytest.raises(ValueError, match="structure of the model's inputs"):
            check_data(given[form](), graph)
        return
    found = check_data(given[form](), graph)
    assert type(found) is kind
    for received, expected in zip(keras.tree.flatten(found), listed, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_a_batch_of_two_inputs_without_brackets_is_told_how():
    batches = inputs.batches((numbers(), numbers()), 4)
    with pytest.raises(ValueError, match=r"left.*right.*\(\(a, b\), y\).*ndarray"):
        check_data(batches, two())


def test_names_are_checked():
    message = r"\['x'\].*dict with keys \['X', 'y'\]"
    with pytest.raises(ValueError, match=message):
        check_data({"X": numbers(), "y": numbers()}, one())


def endless(x):
    while True:
        yield x


@pytest.mark.parametrize("limit", [1, 7, 8, 25])
def test_a_limit_reads_so_many_samples_and_no_more(limit):
    x, read = numbers(), itertools.count()
    source = (x[:4] for _ in map(lambda _: next(read), itertools.repeat(0)))
    found = arrays_of(source, limit)
    np.testing.assert_array_equal(found, np.tile(x[:4], (7, 1))[:limit])
    assert next(read) == -(-limit // 4)
    assert len(arrays_of(x, limit=2)) == COUNT  # arrays are never cut
    assert len(arrays_of(Batches((x,), endless=True), limit)) == limit


def test_without_an_end_or_a_limit_it_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"no end, and all of it.*Remedy"):
        arrays_of(Batches((numbers(),), endless=True))
    for name, most in (("MOST_SAMPLES", 50), ("MOST_BYTES", 10 * 3 * 4 * 5)):
        with monkeypatch.context() as patched:
            patched.setattr(inputs, name, most)
            with pytest.raises(ValueError, match=r"60 samples.*itertools.islice"):
                arrays_of(endless(numbers().astype("float32")))
    found = arrays_of(itertools.islice(endless(numbers()), 100))
    assert found.shape == (100 * COUNT, 3)


def test_an_endless_dataset_is_refused():
    repeated = dataset(numbers()).batch(4).repeat()
    with pytest.raises(ValueError, match=r"no end, and all of it.*take\(100\)"):
        arrays_of(repeated)
    assert len(arrays_of(repeated.take(2))) == 8
    assert len(arrays_of(repeated, 9)) == 9


@pytest.mark.parametrize(
    "given, words",
    [
        (lambda: iter(()), "no batch.*made anew"),
        (lambda: iter([numbers(), numbers()[:, :2]]), r"\(10, 3\) and \(10, 2\)"),
        (lambda: iter([{"x": numbers()}, numbers()]), "the same structure"),
        (lambda: iter(numbers()), r"expected \(None, 3\), received \(30,\).*batches"),
        (lambda: iter([({},)]), "structure of the model's inputs"),
        (lambda: None, "wrong shape"),
        (lambda: "x.npy", "wrong shape"),
        (lambda: numbers().astype(str), "must be numbers. Received: dtype <U"),
        (lambda: numbers() * 1j, "must be numbers. Received: dtype complex"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        check_data(given(), one())


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends have no texts"
)
def test_texts():
    words = ["one", "two three", "one"]
    graph = one((1,), dtype="string")
    for data in (words, [[w] for w in words], np.array(words, object)):
        assert check_data(data, graph).tolist() == [[w] for w in words]
    found = check_data(dataset(np.array(words)).batch(2), graph)
    assert found.tolist() == [[w.encode()] for w in words]
    with pytest.raises(ValueError, match=re.escape("'x' must be texts. Received: dt")):
        check_data(np.array([1.0, 2.0]), graph)
    with pytest.raises(ValueError, match="'x' must be texts"):
        check_data(np.array(["a", 1], object), graph)


def test_a_last_axis_of_one_entry_may_be_left_out_or_be_too_many():
    x = numbers()
    np.testing.assert_array_equal(check_data(x[..., None], one()), x)
    np.testing.assert_array_equal(check_data(x, one((3, 1))), x[..., None])
    with pytest.raises(ValueError, match="wrong shape"):
        check_data(x[:, 0], one())
