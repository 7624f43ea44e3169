"""SAM: one step against the step by hand; copies, learning rates and augmented batches in an estimator."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.nn.functional import cross_entropy

from skaba.evaluation import find_rivals
from skaba.evaluation.rivals._sam import SAM
from tests.evaluation.rivals.nets import LABELS, TABLE, WORDS, seeded_steps, table_classifier, text_classifier


def applied(clf: Any, X: Any, **parameters: Any) -> Any:
    rival = next(each for each in find_rivals(clf, X, LABELS) if each.name == "SAM")
    return rival.applied_to(clf).set_params(**parameters)


def step_by_hand(net: nn.Module, X: torch.Tensor, y: torch.Tensor, rho: float, lr: float) -> list[torch.Tensor]:
    """Foret et al. (2021), algorithm 1, with plain gradient descent."""
    weights = list(net.parameters())
    gradients = torch.autograd.grad(cross_entropy(net(X), y), weights)
    norm = torch.sqrt(sum(gradient.square().sum() for gradient in gradients))
    there = copy.deepcopy(net)
    with torch.no_grad():
        for weight, gradient in zip(there.parameters(), gradients, strict=True):
            weight.add_(rho * gradient / norm)
    worst = torch.autograd.grad(cross_entropy(there(X), y), list(there.parameters()))
    return [weight.detach() - lr * gradient for weight, gradient in zip(weights, worst, strict=True)]


def test_one_step_is_that_of_the_paper_whatever_gradients_exist() -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    X, y = torch.as_tensor(TABLE), torch.as_tensor(LABELS)
    expected = step_by_hand(net, X, y, rho=0.5, lr=0.1)
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)  # as the last batch leaves them
    optimizer = SAM(net.parameters(), torch.optim.SGD, rho=0.5, lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(net(X), y)
        loss.backward()
        return loss

    before = cross_entropy(net(X), y)
    assert optimizer.step(closure).item() == pytest.approx(before.item())
    for parameter, wanted in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), wanted)


def test_an_estimator_takes_the_step_of_the_paper() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    expected = step_by_hand(net, torch.as_tensor(TABLE), torch.as_tensor(LABELS), rho=0.1, lr=0.2)
    clf = table_classifier(module=net, optimizer=torch.optim.SGD, lr=0.2, batch_size=-1)
    fitted = applied(clf, TABLE, optimizer__rho=0.1).fit(TABLE, LABELS)
    for parameter, wanted in zip(fitted.module_.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), wanted)


def test_without_a_distance_it_is_the_base_optimizer() -> None:
    plain = table_classifier(module__dropout=0.0, max_epochs=3, optimizer__weight_decay=0.1)
    ours = applied(plain, TABLE, optimizer__rho=0.0)
    for weight, wanted in zip(seeded_steps(ours, TABLE, LABELS), seeded_steps(plain, TABLE, LABELS), strict=True):
        torch.testing.assert_close(weight, wanted)


@pytest.mark.parametrize("of", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])  # noqa: S301
def test_a_copy_goes_on_as_the_net_itself(of: Any) -> None:
    net = applied(table_classifier(max_epochs=2), TABLE).fit(TABLE, LABELS)
    other = of(net)
    net.partial_fit(TABLE, LABELS)
    other.partial_fit(TABLE, LABELS)
    assert all(map(torch.equal, net.module_.parameters(), other.module_.parameters()))


@pytest.mark.slow
def test_another_process_reads_it(tmp_path: Any) -> None:
    net = applied(table_classifier(), TABLE).fit(TABLE, LABELS)
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(net))
    code = f"import pickle; print(type(pickle.load(open({str(tmp_path / 'net.pkl')!r}, 'rb')).optimizer_).__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "SAM\n"  # noqa: S603


def test_saved_parameters_go_on_as_the_net_itself(tmp_path: Any) -> None:
    make = lambda: applied(table_classifier(module__dropout=0.0, max_epochs=2), TABLE)  # noqa: E731
    net = make().fit(TABLE, LABELS)
    files = {"f_params": tmp_path / "weights.pt", "f_optimizer": tmp_path / "optimizer.pt"}
    net.save_params(**files)
    other = make().initialize()
    other.load_params(**files)
    moments = [other.optimizer_.base_optimizer.state[weight]["exp_avg"] for weight in other.module_.parameters()]
    wanted = [net.optimizer_.base_optimizer.state[weight]["exp_avg"] for weight in net.module_.parameters()]
    assert all(map(torch.equal, moments, wanted))


def test_a_schedule_changes_the_rate_of_the_base_optimizer() -> None:
    halved = ("schedule", LRScheduler("StepLR", step_size=1, gamma=0.5))
    net = applied(table_classifier(lr=0.1, max_epochs=2, callbacks=[halved]), TABLE).fit(TABLE, LABELS)
    assert net.optimizer_.base_optimizer.param_groups[0]["lr"] == pytest.approx(0.025)


@pytest.mark.parametrize(("make", "X"), [(table_classifier, TABLE), (text_classifier, WORDS)], ids=["input", "layer"])
def test_both_passes_see_the_same_augmented_batch(make: Any, X: Any) -> None:
    """Without a distance both passes have the same weights, so that their batches are equal bit for bit."""
    seen = []

    def keep(module: nn.Module, inputs: Any) -> None:
        if module.training:
            seen.append(inputs[0].detach().clone())

    rival = next(each for each in find_rivals(make(), X, LABELS) if each.name == "SAM")
    net = rival.with_augmenter(make(strength=0.5, batch_size=-1), "mend_aba", 0.0).initialize()
    first = net.module_.convolution if make is text_classifier else net.module_.net[0]
    known = net.module_.embedding.weight.detach().clone() if make is text_classifier else torch.as_tensor(X)
    first.register_forward_pre_hook(keep)
    net.partial_fit(X, LABELS)
    one, other = seen
    assert torch.equal(one, other)
    assert not torch.isin(one, known).all()  # it is the augmented batch
