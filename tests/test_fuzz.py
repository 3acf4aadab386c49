"""Files from strangers: read, or refused by an error that names file and remedy.

Nothing in them is executed, nothing is written, and memory and time are bounded. A few
files of every kind are read in the process of the tests. `make fuzz` reads hundreds of
each, in processes that are watched.
"""

import keras
import pytest

from tests.fuzz.crafted import CASES
from tests.fuzz.judging import Judge
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import Watch, Worker, done

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="what is read is the same for every backend; once is enough",
)
# Cases that make large files, or take long.
LARGE = {"weights_bomb", "config_bomb", "array_bomb", "packed_bomb"}
LARGE |= {"many_wide", "many_constants", "doubled"}


@pytest.fixture(scope="module")
def ask():
    """Reads in this process."""
    watch = Watch()
    return lambda task, kind, place: done(task, kind, place, watch)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_damaged_files(kind, ask, tmp_path):
    judge = Judge(kind, tmp_path, ask)
    judge.damaged(3, seed=1)
    judge.crafted(set(CASES.get(kind, ())) - LARGE)
    assert not judge.tally.faults
    assert judge.tally.outcomes["refused"]


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """Reads in a process of its own."""
    made = Worker(tmp_path_factory.mktemp("worker"))
    yield made
    made.close()


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind, worker, tmp_path, record_property, request):
    judge = Judge(kind, tmp_path, worker.ask)
    judge.damaged(request.config.getoption("--files"))
    judge.crafted()
    tally = judge.tally
    figures = {"most MB": round(tally.most), "most ms": round(1000 * tally.slowest)}
    record_property(f"fuzz, {kind}", {**tally.outcomes, **figures})
    assert not tally.faults, "\n".join(tally.faults[:20])
