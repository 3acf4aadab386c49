"""Dependencies between the folders point one way, and the core needs no TensorFlow."""

import ast
import contextlib
import functools
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import snn_keras
from snn_keras.backend import of_name
from snn_keras.layers import SourceActivation

PACKAGE = pathlib.Path(snn_keras.__file__).parent
ROOT = PACKAGE.parent

# Each folder or module may use those in the layers before its own.
LAYERS = [
    {"typing", "figures", "_keras"},
    {"errors", "files", "records"},
    {"untrusted"},
    {"answers", "text", "ops", "graph", "inputs", "loading"},
    {"backend", "warning"},
    {"random"},
    {"coding"},
    {"layers", "neurons"},
    {"time"},
    {"simulate"},
    {"conversion", "applications"},
    {"linear"},
    {"analysis", "export", "training", "interop"},
    {"callbacks", "regularizers", "rules", "shipped"},
    {"apps", "__main__"},
]
MAY_USE_TENSORFLOW = {
    "tensorflow.py",  # the backend
    "defaults.py",  # graphs with and without XLA, inside a function
    "data.py",  # tensorflow_datasets, inside a function
    "distribution.py",  # tf.distribute, inside a function
    "devices.py",  # its own quantizer, to compare with, inside a function
    "sources.py",  # tf.data, inside functions
    "activations.py",  # its functions are known by identity, inside a function
    "source.py",  # shapes of a model of tf_keras, inside a function
    "tfmot.py",  # its wrappers are stripped by itself, inside a function
}
OF_KERAS = PACKAGE / "_keras.py"
OF_KERAS_2 = PACKAGE / "interop" / "source.py", PACKAGE / "interop" / "tfmot.py"
OF_PYTHON = {"_getframe", "_exit"}


def rank(name):
    return next(i for i, names in enumerate(LAYERS) if name in names)


@functools.cache
def nodes(path):
    """All nodes of a file's syntax."""
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path):
    """Every module that a file imports, wherever in the file."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def files():
    found = [*PACKAGE.rglob("*.py"), *(ROOT / "apps").rglob("*.py")]
    return [p for p in found if p != PACKAGE / "__init__.py"]


def unit(path):
    """The folder or module of the architecture that a file belongs to."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "snn_keras" else "apps"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_one_way(path):
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] == "snn_keras" and len(parts) > 1 and unit(path) != "apps":
            assert rank(parts[1]) <= rank(unit(path)), name
        assert parts[0] != "apps" or unit(path) == "apps", name


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_stray_tensorflow(path):
    for name, node in imports(path):
        root = name.split(".")[0]
        if root.startswith("tensorflow"):
            assert path.name in MAY_USE_TENSORFLOW, name
            if path.name != "tensorflow.py":
                assert node.col_offset > 0, f"{name} is imported at the top"


def names_used(nodes):
    """What a file takes from the library: pairs of a module and a name.

    Of names that the file gives something else, too, only the import.
    """
    found, others, modules = [], set(), {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and is_own(node.module or ""):
            for alias in node.names:
                with contextlib.suppress(ModuleNotFoundError):
                    name = f"{node.module}.{alias.name}"
                    modules[alias.asname or alias.name] = importlib.import_module(name)
                found.append((importlib.import_module(node.module), alias.name))
        elif isinstance(node, ast.Import) and is_own(node.names[0].name):
            modules["snn_keras"] = snn_keras
        elif isinstance(node, ast.arg):
            others.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            others.add(node.id)
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.value.id
            if name in modules and name not in others:
                found.append((modules[name], node.attr))
    return found


def is_own(name):
    return name.split(".")[0] == "snn_keras"


USERS = [*(ROOT / "apps").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]


@pytest.mark.parametrize("path", USERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_of_the_library_exist(path):
    """Also in programs and tests that take long, and are seldom run."""
    for module, name in names_used(nodes(path)):
        assert hasattr(module, name), f"{module.__name__}.{name}"


def is_of_self(attribute):
    return isinstance(attribute.value, ast.Name) and attribute.value.id == "self"


def names_defined(path):
    """The names of methods and attributes of a file's classes."""
    for node in nodes(path):
        if isinstance(node, ast.ClassDef):
            yield from (x.name for x in node.body if isinstance(x, ast.FunctionDef))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if is_of_self(node) else []


def private_names_used(path):
    """Pairs of an attribute's private name and whether it is one of `self`."""
    for node in nodes(path):
        name, of_self = "", False
        if isinstance(node, ast.Attribute):
            name, of_self = node.attr, is_of_self(node)
        elif isinstance(node, ast.keyword):  # vars(x).update(_name=1)
            name = node.arg or ""
        elif isinstance(node, ast.Call) and len(node.args) > 1:  # getattr(x, "_name")
            name = str(getattr(node.args[1], "value", ""))
        if re.match("_[a-z]", name):
            yield name, of_self


def test_private_names_of_keras_stand_in_one_place():
    """All others are of the same file's classes, or of bases in the package."""
    defined = {path: set(names_defined(path)) for path in files()}
    anywhere = set().union(*defined.values())
    for path in defined.keys() - {OF_KERAS}:
        assert "keras.src" not in path.read_text(), path
        for name, of_self in private_names_used(path):
            own = anywhere if of_self else defined[path]
            assert path in OF_KERAS_2 or name in own | OF_PYTHON, (path, name)


BASES = {"SpikingCell", "ChargingCell", "SourceActivation", "QuantizedActivation"}
CONCRETE = {
    kind.__name__
    for room in (snn_keras.neurons, snn_keras.layers)
    for kind in vars(room).values()
    if isinstance(kind, type)
    and issubclass(kind, (snn_keras.neurons.SpikingCell, SourceActivation))
} - BASES


def classes_asked_for(nodes):
    """Names of the classes that code tests for: isinstance, comparisons, cases."""
    for node in nodes:
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            parts = node.args if called in ("isinstance", "issubclass") else ()
        elif isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        else:
            parts = [node.cls] if isinstance(node, ast.MatchClass) else ()
        for part in parts:
            for leaf in ast.walk(part):
                yield getattr(leaf, "id", getattr(leaf, "attr", None))


@pytest.mark.parametrize("code", ["isinstance(c, IFCell)", "type(c) is neurons.IFCell"])
def test_a_test_for_a_neuron_is_found(code):
    assert CONCRETE & set(classes_asked_for(list(ast.walk(ast.parse(code))))) == {
        "IFCell"
    }


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_tests_for_a_neuron_or_an_activation(path):
    if {"neurons", "layers"} & set(path.relative_to(ROOT).parts[1:-1]):
        return
    found = CONCRETE & set(classes_asked_for(nodes(path)))
    assert not found, f"it asks for {found}, where a contract should be asked"


def test_no_function_has_the_name_of_a_module():
    """Or `import snn_keras.x.y` would give the one, and at times the other."""
    for path in files():
        if unit(path) in ("apps", "backend"):  # of which others are not installed
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(p for p in parts if p != "__init__")
        module = importlib.import_module(name)
        parent, _, last = name.rpartition(".")
        assert getattr(sys.modules[parent], last) is module, name


CALLS = """
import sys, snn_keras
assert "snn_keras.export" not in sys.modules
snn_keras.analysis.energy, snn_keras.export.to_tflite, snn_keras.interop.from_tf_keras
assert {"analysis", "export", "interop"} < set(dir(snn_keras))
from importlib.metadata import version
assert snn_keras.__version__ == version("snn_keras")
"""


def test_the_public_face():
    subprocess.run([sys.executable, "-c", CALLS], check=True, cwd=ROOT)


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import keras, numpy as np, snn_keras
first = keras.layers.Dense(4, kernel_initializer="ones")
neurons = snn_keras.layers.LSQReLU(3, initial_step=0.5)
last = keras.layers.Dense(2, name="last")
ann = keras.Sequential([keras.Input((3,)), first, neurons, last])
x, y = np.ones((4, 3)), np.array([0, 1, 0, 1])
snn = snn_keras.convert(ann, 3)
print(snn.predict(x, verbose=0).shape)
snn_keras.verify(ann, snn, x)
# Four neurons of threshold 1.5 receive 3, and fire at all three steps.
energy = snn_keras.analysis.energy(snn, x).layers["last"]
assert energy.spiking.add == 4 * 3 * 2
assert snn_keras.export.to_integers(snn, x).predict(x).shape == (4, 2)
snn.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
snn.fit(x, y, verbose=0)
"""


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_everything_but_files_works_without_tensorflow(name, tmp_path):
    pytest.importorskip(name, reason=f"{name} is not installed. Remedy: pip install it")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW],
        env={"KERAS_BACKEND": name, "PATH": "", "HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "(4, 2)", done.stderr


def test_unknown_backends_are_refused():
    with pytest.raises(ImportError, match=r"tensorflow, jax, torch.*'numpy'.*Remedy"):
        of_name("numpy")
