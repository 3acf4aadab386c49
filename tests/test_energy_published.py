"""Published crossing points, from their studies' assumptions."""

import pytest

from apps.energies import in_c
from apps.energies import published as crossings


@pytest.mark.parametrize(
    "point", crossings.POINTS, ids=lambda p: f"{p.study} {p.value:.4f}"
)
def test_published_crossings_come_out_within_a_tenth(point):
    assert crossings.reproduced(point) == pytest.approx(point.value, rel=0.1)


def test_all_but_one_of_a_study_follow_from_the_one_that_is_fitted():
    price = crossings.fitted_weight_bit()
    fitted = crossings.FITTED
    assert crossings.of_yan(fitted, price) == pytest.approx(fitted.value, rel=1e-9)
    assert fitted not in crossings.POINTS
    others = [p for p in crossings.POINTS if p.study == fitted.study]
    errors = [crossings.of_yan(p, price) / p.value - 1 for p in others]
    assert len(errors) == 7 and max(map(abs, errors)) < 0.03


def test_the_equation_by_hand():
    """T = 5, 4 bits: what is moved and read once, over T events of it."""
    point, price = crossings.Point(crossings.YAN, 0.057, 5, 4), 0.04
    addition = crossings.ADDITION
    product = 2 * 5 / 6 * (3 + 1) * addition  # a product of 3 bits, and its addition
    rate = (3 * 0.25 + 4 * price) / (5 * (3.0 + 4 * price + addition) - product)
    assert crossings.of_yan(point, price) == pytest.approx(rate, rel=1e-12)


def test_rank_and_slope_of_a_measure_against_the_model():
    figures = [{"model": x, "double": 2 * x, "half": 4 + x} for x in (1, 2, 4)]
    assert in_c.agreement(figures, "model", "double") == pytest.approx((1, 1))
    # As a share of its last value, 8, it grows by 3/8 where the model grows by 3/4.
    assert in_c.agreement(figures, "model", "half") == pytest.approx((1, 0.5))
    falling = [{"model": x, "less": -x} for x in (1, 2, 4)]
    assert in_c.agreement(falling, "model", "less")[0] == pytest.approx(-1)
