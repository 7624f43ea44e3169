"""What fits into the time."""

import numpy as np
import pytest

from skaba.evaluation.worth import _budget
from skaba.evaluation.worth._budget import FEWEST, WANTED, Budget, affordable, needed_minutes


@pytest.mark.parametrize("seed", range(30))
def test_what_is_chosen_fits_as_often_as_what_is_required_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds_of = {name: float(seconds) for name, seconds in zip("abcdefgh", rng.exponential(size=8), strict=True)}
    required, optional = list("abc"), [["d"], ["e", "f"], ["f"], ["g", "h"]]
    least = sum(seconds_of[name] for name in required)
    seconds = float(rng.uniform(FEWEST, 20)) * least
    chosen = affordable(required, optional, seconds_of, seconds)
    assert chosen[:3] == required
    assert len(set(chosen)) == len(chosen)
    assert all(set(group) <= set(chosen) or set(group) - set(chosen) for group in optional)
    assert sum(seconds_of[name] for name in chosen) * min(WANTED, int(seconds / least)) <= seconds
    assert affordable(required, optional, seconds_of, 1e6) == list("abcdefgh")
    assert affordable(required, optional, seconds_of, FEWEST * least) == required


def test_the_first_options_come_first() -> None:
    seconds_of = dict.fromkeys("abc", 1.0)
    assert affordable("a", ["b", "c"], seconds_of, 10) == ["a", "b"]
    assert affordable("a", ["c", "b"], seconds_of, 10) == ["a", "c"]


def test_the_needed_time_is_in_proportion_and_falls_with_more_processes() -> None:
    # One plain fit, one of ABA, three rounds of two plain ones and two of ABA.
    assert needed_minutes(60.0) == pytest.approx(1.1 * (1 + 1.67 + 3 * (2 + 2 * 1.67)))
    assert needed_minutes(120.0) == pytest.approx(2 * needed_minutes(60.0))
    timed = 1.1 * (1 + 1.67)
    assert needed_minutes(60.0, n_jobs=2) == pytest.approx(timed + (needed_minutes(60.0) - timed) / 2)


def test_a_budget_counts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(_budget, "monotonic", lambda: now[0])
    budget = Budget(2)
    now[0] += 30
    assert (budget.left(), budget.left(60), budget.spent_minutes()) == (90, 30, 0.5)
    budget.check(2)
    with pytest.raises(ValueError, match=r"minutes=2 is too short.*need about 2\.4 minutes"):
        budget.check(2.31)
