"""One thread at a time holds torch's global random state."""

import os
import threading
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score

from skaba import ABAClassifier
from skaba._random_state import holding_random_state, random_state_kept
from skaba.augmenters import mend_aba

X = np.random.default_rng(0).normal(size=(120, 5)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)


def net(**parameters: Any) -> ABAClassifier:
    settings: dict[str, Any] = {"max_epochs": 3, "batch_size": 8, "random_state": 0, "verbose": 0, **parameters}
    return ABAClassifier(lambda: torch.nn.Sequential(torch.nn.Linear(5, 2), torch.nn.Dropout(0.2)), **settings)


def scores(backend: str, n_jobs: int, clf: ABAClassifier) -> Any:
    with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
        return cross_val_score(clf, X, y, cv=4, scoring="neg_log_loss")


@pytest.mark.parametrize("augmenter", ["fgsm", "free_aba", None])
def test_threads_give_the_scores_of_a_single_one_and_keep_the_global_state(augmenter: Any) -> None:
    clf = net(augmenter=augmenter)
    one, state = scores("sequential", 1, clf), torch.get_rng_state()
    for _ in range(3):
        assert np.array_equal(scores("threading", 3, clf), one)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fit_is_not_disturbed_by_threads_that_attribute_augment_and_predict() -> None:
    alone, other, stop = net(augmenter="fgsm").fit(X, y), net(augmenter="fgsm").fit(X, y), threading.Event()
    errors: list[Exception] = []

    def look() -> None:
        try:
            while not stop.is_set():
                other.attribute(X[:8], y[:8])
                other.augment(X[:8], y[:8])
                other.predict(X[:8])
        except Exception as error:  # noqa: BLE001 - reported by the test itself
            errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        disturbed = net(augmenter="fgsm").fit(X, y)
    finally:
        stop.set()
        thread.join()
    assert not errors
    assert np.array_equal(disturbed.predict_proba(X), alone.predict_proba(X))


def test_an_augmenter_called_in_threads_keeps_the_global_state() -> None:
    model, state = torch.nn.Linear(5, 4), torch.get_rng_state()

    def augment() -> None:
        for seed in range(50):
            generator = torch.Generator().manual_seed(seed)
            mend_aba()(model, torch.zeros(4, 5), None, strength=0.1, criterion=None, generator=generator)

    threads = [threading.Thread(target=augment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_put_back_after_an_error_and_may_be_held_twice() -> None:
    def fail() -> None:
        with random_state_kept(), holding_random_state():
            torch.rand(3)
            raise RuntimeError("inside")

    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_that_is_forked_while_another_thread_holds_it_finds_it_free() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with holding_random_state():
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        with holding_random_state():
            os._exit(7)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        done.set()
        thread.join()
