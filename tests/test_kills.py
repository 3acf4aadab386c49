"""Long runs that are killed go on to the same end, and nothing is corrupt.

`make kills` kills two hundred times.
"""

import keras
import pytest

from tests.kills.jobs import JOBS
from tests.kills.killing import full, killed
from tests.kills.server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="runs are processes of their own; once is enough",
    ),
]


@pytest.fixture(scope="module")
def server():
    made = Server()
    yield made
    made.close()


@pytest.mark.parametrize("job", JOBS)
def test_a_killed_run_goes_on_to_the_same_end(job, server, tmp_path):
    assert killed(server, job, tmp_path, kills=2).runs >= 1


@pytest.mark.parametrize("job", JOBS)
def test_a_full_disk_leaves_nothing_half_written(job, server, tmp_path):
    assert full(server, job, tmp_path, times=2) >= 1
