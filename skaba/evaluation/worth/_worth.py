"""Whether attribution-based augmentation is worth it, measured in a time budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike
from sklearn.model_selection import ShuffleSplit
from sklearn.utils._param_validation import Interval, RealNotInt
from tqdm import tqdm

from skaba.evaluation._checks import COUNT, POSITIVE, SEED, check_parameters
from skaba.evaluation._collecting import collected
from skaba.evaluation._comparison import Comparison
from skaba.evaluation._folds import Fold, Result
from skaba.evaluation._report import score_name
from skaba.evaluation._task import Task, check_arms, check_estimators, check_task
from skaba.evaluation.rivals._data import net_of
from skaba.evaluation.worth._advice import advice
from skaba.evaluation.worth._arms import ABA, DEFAULT, PLAIN, Arm, Arms, make_arms
from skaba.evaluation.worth._budget import FEWEST, MOST, Budget, needed_minutes
from skaba.evaluation.worth._gains import Gains
from skaba.evaluation.worth._repeating import Repeater, splitter, test_ratio
from skaba.evaluation.worth._results import Worth
from skaba.evaluation.worth._screening import MOST_SPLITS, Screening, choose, screen
from skaba.evaluation.worth._training import Course, watched_training


def worth(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    minutes: float = 5.0,
    train_size: float = 0.75,
    groups: ArrayLike | None = None,
    scoring: str | Callable[..., float] | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Worth:
    """Measure whether attribution-based augmentation (ABA) is worth it for a network and its data.

    On repeated random splits of the samples, the network is trained plainly, with ABA, with ABA's random map, with
    the best free rivals (see :func:`rivals`), and with ABA on top of the best of them. Outsiders, such as logistic
    regression, do without the network. All train on the same samples with the same seed.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
        Its augmenter is the ABA that is judged; None means MendABA. Its strength is used if it is a number above 0 or
        a rule; by default it is ``"auto"``.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    minutes : float, default=5
        The time limit. It may be exceeded by the time of one fit.
    train_size : float or int, default=0.75
        The share or number of the samples that are trained on; with ``groups``, that of the groups. The others are
        scored. A small number shows what would be if fewer samples had labels.
    groups : array-like of shape (n,), default=None
        Samples of one group, such as the records of one patient, are never split between training and test.
    scoring : str or callable, default=None
        As in scikit-learn; by default each estimator's ``score``.
    random_state : int, default=0
        The seed of the first repetition; the others count up from it.
    n_jobs : int, default=None
        The number of fits at the same time, as in joblib. More fits then fit into the time.
    progress : bool, default=False
        Whether to show a bar of the finished fits on stderr.

    Returns
    -------
    Worth

    Raises
    ------
    TypeError, ValueError
        Before the first fit, if a parameter is not allowed, X and y do not fit, or the estimator cannot be fitted on
        these samples; after one fit of plain training, or after the choice of rivals, if the time is too short.

    Warns
    -----
    FitFailedWarning
        If a fit fails; the others are kept.

    Notes
    -----
    A fit of plain training is timed first. Then each free rival is tried at its default value, on one or two splits
    that are not reported, so that the chosen rivals are not flattered by the splits that judge them. At least 3 and at
    most 10 repetitions follow. What does not fit into the time is left out, and named in the notes.

    Intervals are Student's t intervals with the corrected variance of Nadeau and Bengio (2003): random splits of the
    same samples are not independent; see :func:`paired_interval`. They do not become narrow, however many repetitions
    there are. If the training part is the smaller one, its ratio to the test part takes the place of the inverse.
    Intervals are not corrected for the number of methods.

    The advice follows these rules. A method is above another one if the interval of its gain lies above 0.

    1. An outsider is above all networks: use it; the advice on the network follows.
    2. ABA is above plain training, its random map and all free rivals: it is worth it.
    3. ABA is above plain training, but not above a free rival: try that first; if the rival is above ABA, use that.
       If ABA is not above its random map, the gain need not come from attribution.
    4. ABA on top of a free rival is above that rival and plain training: it is worth trying there.
    5. ABA is below plain training: do not use it.
    6. Otherwise it is not shown to help. The advice says how small a gain the repetitions can show, why the rule for
       the strength missed its target, and what else is above plain training, or scores as much without a network.

    If plain training scores less than 0.9 on its training samples, and its held-out score still rises by 0.01 or more
    over the last quarter of the epochs, the advice is to train longer first.

    References
    ----------
    Nadeau and Bengio (2003), "Inference for the Generalization Error".

    Examples
    --------
    With a single step of training, which is far too short:

    >>> from sklearn.datasets import load_iris
    >>> from skaba import ABAClassifier
    >>> from skaba.evaluation import worth
    >>> from skaba.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ABAClassifier(MLP, module__n_features=4, module__n_classes=3, max_epochs=1, batch_size=150, verbose=0)
    >>> found = worth(clf, X.astype("float32"), y, minutes=1)
    >>> list(found.groups)[:3]
    ['plain', 'ABA', 'random map']
    >>> print(found)
    Use ... instead of a network: ... If it has to be a network: ABA is not shown to help here...
    <BLANKLINE>
    | | method | accuracy, % | difference to plain, points [95 %] | fit, s |
    |---|---|---|---|---|
    | plain | plain | ... | | 0... |
    | free rivals | label smoothing | ...
    """
    sizes = [Interval(RealNotInt, 0, 1, closed="neither"), *COUNT]
    check_parameters(
        "worth", minutes=(minutes, POSITIVE), train_size=(train_size, sizes), random_state=(random_state, SEED)
    )
    budget = Budget(minutes)
    arms, task = _checked(estimator, X, y, groups, scoring)
    with tqdm(desc="fits", disable=not progress) as bar:
        repeater = Repeater(task, splitter(task, train_size), budget, n_jobs, bar)
        # All splits are made now, because one without a class in its training part would end the run later.
        folds = [repeater.fold(random_state + number) for number in range(MOST + MOST_SPLITS)]
        arms, unusable = _usable(arms, task, folds[0])
        course = _watched(arms, repeater, random_state + MOST)
        screening = screen(repeater, arms, random_state + MOST, course.seconds)
        chosen = choose(screening, budget.left() * repeater.n_workers)
        runs = _repeated(chosen, repeater, screening, random_state)
    name = scoring if isinstance(scoring, str) else "score" if scoring else score_name(net_of(estimator))
    comparison = collected(runs, PLAIN, score_name=name, test_ratio=test_ratio(folds[0]))
    notes = [*_description(estimator, arms, folds[0]), *screening.notes(chosen), *unusable]
    return _answer(comparison, arms, course, _usual_remark(runs[ABA]), notes)


def _answer(comparison: Comparison, arms: Arms, course: Course, remark: str, notes: list[str]) -> Worth:
    groups = {arm.name: arm.group for arm in arms if arm.name in comparison.scores}
    combinations = {arm.name: rival for rival, arm in arms.combined.items() if arm.name in groups}
    text = advice(Gains(comparison, groups), combinations=combinations, course=course, remark=remark)
    return Worth(comparison, groups, text, [*notes, *([f"ABA: {remark}"] if remark else [])])


def _checked(estimator: Any, X: Any, y: Any, groups: Any, scoring: Any) -> tuple[Arms, Task]:
    """Return all arms, and the data and settings of all fits, or raise a TypeError or ValueError."""
    arms = make_arms(estimator, X, y)
    estimators = {arm.name: arm.estimator for arm in arms}
    check_estimators(estimators, PLAIN, scoring)
    # The splitter, which depends on whether there are classes, is made from the task.
    return arms, check_task(estimators, X, y, ShuffleSplit(1), groups, None, scoring, None)


def _usable(arms: Arms, task: Task, fold: Fold) -> tuple[Arms, list[str]]:
    """Return the arms that can be fitted, and notes about the others; raise a ValueError if ABA or plain cannot."""
    check_arms({arm.name: arm.estimator for arm in arms.core}, task, fold[0])
    notes: list[str] = []

    def is_usable(arm: Arm) -> bool:
        try:
            check_arms({arm.name: arm.estimator}, task, fold[0])
        except ValueError as error:
            notes.append(f"Left out: {error}")
            return False
        return True

    usable = replace(
        arms,
        free=list(filter(is_usable, arms.free)),
        outsiders=list(filter(is_usable, arms.outsiders)),
        combined={rival: arm for rival, arm in arms.combined.items() if is_usable(arm)},
    )
    return usable, notes


def _watched(arms: Arms, repeater: Repeater, seed: int) -> Course:
    """Train plainly once; raise a ValueError if the time is then known to be too short."""
    course = watched_training(arms.core[0].estimator, repeater.task, repeater.fold(seed), seed)
    repeater.bar.update()
    repeater.budget.check(needed_minutes(course.seconds, n_jobs=repeater.n_workers))
    return course


def _repeated(chosen: list[Arm], repeater: Repeater, screening: Screening, seed: int) -> dict[str, list[Result]]:
    """Return the results of all repetitions; raise a ValueError if there is time for too few."""
    budget, n_workers, expected = repeater.budget, repeater.n_workers, screening.seconds()
    seconds = sum(expected[arm.name] for arm in chosen) / n_workers
    budget.check(budget.spent_minutes() + FEWEST * seconds / 60)
    # The bar could not know its end before the methods were chosen.
    repeater.bar.total = repeater.bar.n + len(chosen) * min(MOST, int(budget.left() / seconds))
    runs = repeater.rounds(chosen, seed, seconds)
    if len(runs[PLAIN]) < 2:  # the fits took longer than they had taken before
        budget.check(FEWEST * budget.spent_minutes())
    return runs


def _usual_remark(results: Sequence[Result]) -> str:
    """Return why the rule for the strength missed its target, if it did so in most repetitions."""
    remarks = [result.remark for result in results if result.remark]
    return remarks[-1] if len(remarks) > len(results) / 2 else ""


def _description(estimator: Any, arms: Arms, fold: Fold) -> list[str]:
    """Return what was compared, and on how many samples."""
    name = " ".join(str(net_of(estimator).augmenter or DEFAULT).split())
    strength = net_of(next(arm.estimator for arm in arms.core if arm.name == ABA)).strength
    return [
        f"ABA: {name} with strength {strength}; the other methods have their default values.",
        f"Trained on {len(fold[0])} samples, scored on {len(fold[1])}.",
    ]
