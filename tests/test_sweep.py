"""Every public layer, activation and operation of Keras, wherever it stands."""

import collections
import itertools

import keras
import pytest

from apps.catalog import CASES, EXCLUDED, SECTIONS, networks, public_names
from tests.sweep import JAX, Violation, judge

# Of the quick run, every so many cases; JAX compiles every operation that it meets.
STRIDE = 60 if JAX else 20
PART = 40  # cases of one slow test


def test_every_public_name_has_a_case_or_a_reason():
    covered = {case.name for case in CASES}
    missing = [
        name
        for name in public_names()
        if name not in covered and name.split(".")[-1] not in EXCLUDED
    ]
    assert not missing


def test_no_name_is_left_out_without_need():
    names = {name.split(".")[-1] for name in public_names()}
    covered = {case.name.split(".")[-1] for case in CASES}
    assert set(EXCLUDED) <= names and not covered.intersection(EXCLUDED)


@pytest.mark.parametrize("module", ["linalg", "nn", "numpy"])
def test_modules_of_operations_hold_no_others(module):
    functions = vars(getattr(keras.ops, module))
    for name, function in functions.items():
        if not name.startswith("_"):
            assert getattr(keras.ops, name) is function


def test_cases_are_told_apart():
    found = collections.Counter((str(case), case.shapes) for case in CASES)
    assert max(found.values()) == 1, [c for c, n in found.items() if n > 1]


def check_all(networks_of_cases, record_property):
    """Judges all, and fails with all violations at once."""
    found, violations = collections.Counter(), []
    for case, position, form in networks_of_cases:
        keras.utils.clear_session(free_memory=False)
        try:
            outcomes = judge(case, position, form)
        except Violation as violation:
            violations.append(f"{case} {case.shapes} {position}, {form}: {violation}")
            outcomes = {"otherwise": 1}
        for outcome, count in outcomes.items():
            found[f"{case.group}: {outcome}"] += count
        found[f"{case.group}: networks"] += 1
    record_property("sweep", dict(found))
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("section", SECTIONS)
def test_some_cases(section, record_property):
    """One place and form each, in turn."""
    some = SECTIONS[section][:: STRIDE + 1]
    places = itertools.cycle(networks.POSITIONS)
    made = []
    for number, (case, place) in enumerate(zip(some, places, strict=False)):
        forms = networks.forms_of(case)
        if place in networks.positions_of(case):
            made.append((case, place, forms[number % len(forms)]))
    check_all(made, record_property)


PARTS = {
    f"{section}-{start}": cases[start : start + PART]
    for section, cases in SECTIONS.items()
    for start in range(0, len(cases), PART)
}


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_all_cases(part, record_property):
    """Alone at every place; and between neurons in one form more, in turn."""
    made = []
    for number, case in enumerate(PARTS[part]):
        made += [(case, place, "alone") for place in networks.positions_of(case)]
        others = networks.forms_of(case)[1:]
        if "between" in networks.positions_of(case):
            made.append((case, "between", others[number % len(others)]))
    check_all(made, record_property)
