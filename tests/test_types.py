"""Every public function says what it takes and what it gives."""

import ast
import pathlib

import snn_keras

PACKAGE = pathlib.Path(snn_keras.__file__).parent
SPECIAL = ("__init__", "__call__")


def public_functions():
    """Yields `(place, function)` of the package's modules and classes."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for place, function in functions_in(ast.parse(path.read_text()).body):
            if not function.name.startswith("_") or function.name in SPECIAL:
                yield f"{path.relative_to(PACKAGE)}: {place}{function.name}", function


def functions_in(body, place=""):
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield place, node
        elif isinstance(node, ast.ClassDef):
            yield from functions_in(node.body, f"{place}{node.name}.")
        elif isinstance(node, (ast.If, ast.Try)):
            yield from functions_in([*node.body, *node.orelse], place)


def test_public_functions_are_annotated():
    missing, count = [], 0
    for place, function in public_functions():
        given = function.args
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            if argument.arg not in ("self", "cls"):
                count += 1
                if argument.annotation is None:
                    missing.append(f"{place}: {argument.arg}")
        if function.returns is None:
            missing.append(f"{place}: the result")
    arguments = sum(not place.endswith(": the result") for place in missing)
    print(f"{count - arguments} of {count} public arguments are annotated")
    assert not missing, missing
