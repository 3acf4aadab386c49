"""Runs of the tests: parts share a module, and a run that breaks off has failed."""

import pytest

from tests import run


@pytest.fixture
def module(tmp_path):
    """Path of a module of seven tests, in which the last fails."""
    path = tmp_path / "test_seven.py"
    path.write_text(
        "import pytest\n\n\n"
        "@pytest.mark.parametrize('i', range(7))\n"
        "def test_number(i):\n"
        "    assert i < 6\n"
    )
    return path


def test_every_test_is_in_one_part(module, capsys):
    results = [run.run_module(str(module), (i, 3), []) for i in range(3)]
    assert [r.counts["passed"] for r in results] == [2, 2, 2]
    assert [r.counts["failed"] for r in results] == [1, 0, 0]
    assert [r.ok for r in results] == [False, True, True]


def test_a_run_that_breaks_off_is_a_failure(module):
    result = run.run_module(str(module), (0, 1), ["--no-such-option"])
    assert not result.ok and result.counts["failed"] == 1
