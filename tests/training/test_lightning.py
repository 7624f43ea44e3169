"""The Lightning callback trains as the plain loop does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from skaba.augmenters import Augmenter, GaussianNoise
from skaba.losses import RRR
from skaba.testing import trace_of
from skaba.training import Augmentation
from tests.tiny_nets import TextNet
from tests.training.loops import ImageNet, image_batches, same, text_batches, train

try:
    import lightning
except ImportError:
    lightning = pytest.importorskip("pytorch_lightning")

from skaba.training.lightning import AugmentationCallback

CRITERION = nn.CrossEntropyLoss()


class Module(lightning.LightningModule):
    """Trains a network as the plain loop does."""

    def __init__(self, net: nn.Module, optimizer: Any = torch.optim.SGD) -> None:
        super().__init__()
        self.net, self.optimizer = net, optimizer
        self.losses: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = CRITERION(self(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters(), lr=0.1)


def trainer(*callbacks: Any, **settings: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    saves = {"enable_checkpointing": False}
    return lightning.Trainer(
        callbacks=[*callbacks], accelerator="cpu", **{"max_epochs": 2, **quiet, **saves, **settings}
    )


def loader(batches: list[Any]) -> Any:
    """Batches as the default collate function gives them: lists."""
    return torch.utils.data.DataLoader([[*batch] for batch in batches], batch_size=None)


def augmentation_of(model: nn.Module, augmenter: Any = "mend_aba", layer: str | None = None, **more: Any) -> Any:
    return Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0, **more)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore")
class TestAugmentationCallback:
    @pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba", GaussianNoise()], ids=str)
    @pytest.mark.parametrize("layer", [None, "features.0"])
    def test_trains_as_the_plain_loop(self, augmenter: Any, layer: str | None) -> None:
        expected = ImageNet()
        train(expected, image_batches(), augmentation_of(expected, augmenter, layer))
        batches = image_batches()
        before = [x.clone() for x, _, _ in batches]
        module = Module(ImageNet())
        callback = AugmentationCallback(
            augmentation_of(module, augmenter, None if layer is None else f"net.{layer}"), index=2
        )
        hooks = _hooks(module)
        trainer(callback).fit(module, loader(batches))
        assert same(module.net.state_dict(), expected.state_dict())
        assert not same(module.net.state_dict(), train(ImageNet(), image_batches(), None))
        assert all(torch.equal(x, old) for (x, _, _), old in zip(batches, before, strict=True))
        assert _hooks(module) == hooks

    def test_of_the_network_inside_and_of_text(self) -> None:
        expected = TextNet()
        train(expected, text_batches(), augmentation_of(expected, "free_aba", "embedding"))
        module = Module(TextNet())
        callback = AugmentationCallback(augmentation_of(module.net, "free_aba", "embedding"), index=2)
        trainer(callback).fit(module, loader(text_batches()))
        assert same(module.net.state_dict(), expected.state_dict())

    def test_strength_0_is_plain(self) -> None:
        module = Module(ImageNet())
        augmentation = Augmentation(module, "mend_aba", 0, criterion=CRITERION)
        trainer(AugmentationCallback(augmentation)).fit(module, loader(image_batches()))
        assert same(module.net.state_dict(), train(ImageNet(), image_batches(), None))

    def test_labels_that_change(self) -> None:
        class Soft(Augmenter):
            def _plan(self, batch: Any, strength: float) -> Any:
                shares = functional.one_hot(batch.y, 3).float()
                return lambda x: (x + x.flip(0)) / 2, (shares + shares.flip(0)) / 2

        expected = ImageNet()
        train(expected, image_batches(), augmentation_of(expected, Soft()))
        module = Module(ImageNet())
        trainer(AugmentationCallback(augmentation_of(module, Soft()))).fit(module, loader(image_batches()))
        assert same(module.net.state_dict(), expected.state_dict())

    def test_accumulated_gradients(self) -> None:
        expected = ImageNet()
        augmentation = augmentation_of(expected)
        optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
        batches = image_batches(size=6)
        for k, (x, y, _) in enumerate(batches * 2):
            with augmentation(x, y) as (x_seen, y_seen):
                (CRITERION(expected(x_seen), y_seen) / 2).backward()
            if k % 2 == 1:
                optimizer.step()
                optimizer.zero_grad()
        module = Module(ImageNet())
        callback = AugmentationCallback(augmentation_of(module))
        trainer(callback, accumulate_grad_batches=2).fit(module, loader(batches))
        assert same(module.net.state_dict(), expected.state_dict())

    @pytest.mark.parametrize("layer", [None, "net.features.0"])
    def test_lbfgs_evaluates_the_same_batch(self, layer: str | None) -> None:
        module = Module(ImageNet(), lambda parameters, lr: torch.optim.LBFGS(parameters, lr, max_iter=3))
        seen: list[Tensor] = []
        place = module.net.features[1 if layer else 0]
        place.register_forward_pre_hook(lambda each, args: seen.append(args[0].detach().clone()))
        callback = AugmentationCallback(augmentation_of(module, GaussianNoise(), layer))
        trainer(callback, max_epochs=1).fit(module, loader(image_batches()[:1]))
        assert len(seen) == 3
        # The weights before the layer move between the passes, the noise does not.
        assert layer or all(torch.equal(each, seen[0]) for each in seen)
        assert not torch.equal(seen[0], image_batches()[0][0])

    def test_a_penalty(self) -> None:
        mask = torch.arange(36).reshape(6, 6).expand(8, 6, 6) > 3
        expected = ImageNet()
        augmentation = augmentation_of(expected, "fgsm", penalty=RRR())
        optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
        for x, y, _ in image_batches() * 2:
            with augmentation(x, y, mask=mask) as (x_seen, y_seen):
                output = expected(x_seen)
                loss = CRITERION(output, y_seen) + augmentation.penalty(output)
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()

        class Right(Module):
            def training_step(self, batch: Any, batch_idx: int) -> Tensor:
                output = self(batch["image"])
                return CRITERION(output, batch["label"]) + callback.augmentation.penalty(output)

        module = Right(ImageNet())
        augmentation = augmentation_of(module, "fgsm", penalty=RRR())
        callback = AugmentationCallback(augmentation, x="image", y="label", mask="mask")
        batches = [{"image": x, "label": y, "mask": mask} for x, y, _ in image_batches()]
        trainer(callback).fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
        assert same(module.net.state_dict(), expected.state_dict())

        forgets = Module(ImageNet())
        callback = AugmentationCallback(augmentation_of(forgets, "fgsm", penalty=RRR()), mask=2)
        with pytest.raises(ValueError, match="without penalty"):
            trainer(callback).fit(forgets, loader([(x, y, mask) for x, y, _ in image_batches()]))

    def test_several_inputs(self) -> None:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                torch.manual_seed(0)
                self.embedding, self.output = nn.Embedding(11, 4), nn.Linear(4, 3)

            def forward(self, ids: Tensor, weights: Tensor) -> Tensor:
                return self.output((self.embedding(ids) * weights.unsqueeze(2)).sum(1))

        class Mapped(Module):
            def training_step(self, batch: Any, batch_idx: int) -> Tensor:
                return CRITERION(self.net(batch["ids"], batch["weights"]), batch["label"])

        batches = [{"ids": x, "weights": (x > 0) / 7, "label": y} for x, y, _ in text_batches()]
        expected = Two()
        augmentation = augmentation_of(expected, "mend_aba", "embedding")
        optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
        for batch in batches * 2:
            inputs = {name: batch[name] for name in ("ids", "weights")}
            with augmentation(inputs, batch["label"]) as (_, y):
                optimizer.zero_grad()
                CRITERION(expected(**inputs), y).backward()
            optimizer.step()
        module = Mapped(Two())
        augmentation = augmentation_of(module.net, "mend_aba", "embedding")
        callback = AugmentationCallback(augmentation, x=["ids", "weights"], y="label")
        trainer(callback).fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
        assert same(module.net.state_dict(), expected.state_dict())

    def test_a_run_that_was_killed_goes_on(self, tmp_path: Path) -> None:
        expected = ImageNet()
        train(expected, image_batches(), augmentation_of(expected, "free_aba"), epochs=4)
        for epochs, path in ((2, None), (4, tmp_path / "run.ckpt")):
            module = Module(ImageNet())
            run = trainer(AugmentationCallback(augmentation_of(module, "free_aba"), index=2), max_epochs=epochs)
            run.fit(module, loader(image_batches()), ckpt_path=path)
            run.save_checkpoint(tmp_path / "run.ckpt")
        assert same(module.net.state_dict(), expected.state_dict())

    def test_validation_is_not_augmented(self) -> None:
        seen: list[Tensor] = []

        class Validates(Module):
            def validation_step(self, batch: Any, batch_idx: int) -> None:
                seen.append(self.net.features[0](batch[0]))

        module = Validates(ImageNet(), lambda parameters, lr: torch.optim.SGD(parameters, 0.0))
        callback = AugmentationCallback(augmentation_of(module, "mend_aba", "net.features.0"))
        trainer(callback, val_check_interval=1).fit(module, loader(image_batches()), loader(image_batches()))
        assert len(seen) > 3
        for k, each in enumerate(seen[2:]):  # without Lightning's check before training
            torch.testing.assert_close(each, module.net.features[0](image_batches()[k % 3][0]))

    @pytest.mark.parametrize("end", [RuntimeError("boom"), KeyboardInterrupt(), "skip"], ids=repr)
    def test_however_training_ends_it_leaves_no_hook(self, end: Any) -> None:
        class Ends(Module):
            def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
                return -1 if batch_idx == 1 and end == "skip" else None

            def training_step(self, batch: Any, batch_idx: int) -> Tensor:
                if batch_idx == 1:
                    raise end
                return super().training_step(batch, batch_idx)

        module = Ends(ImageNet())
        augmentation = augmentation_of(module, "mend_aba", "net.features.0")
        hooks = _hooks(module)
        try:
            trainer(AugmentationCallback(augmentation)).fit(module, loader(image_batches()))
        except BaseException as error:  # noqa: BLE001
            assert error is end or isinstance(error, SystemExit)  # noqa: PT017
        assert _hooks(module) == hooks

    def test_what_cannot_work_is_refused(self) -> None:
        module = Module(ImageNet())
        callback = AugmentationCallback(augmentation_of(module))
        tuples = torch.utils.data.DataLoader(image_batches(), batch_size=None, collate_fn=tuple)
        with pytest.raises(TypeError, match=r"The batch is a tuple.*collate_fn return a list or a dict"):
            trainer(callback).fit(module, tuples)
        other = AugmentationCallback(augmentation_of(ImageNet()))
        with pytest.raises(ValueError, match="made for another ImageNet than the one that is trained"):
            trainer(other).fit(module, loader(image_batches()))
        # At a layer nothing has to be put into the batch.
        callback = AugmentationCallback(augmentation_of(module, layer="net.features.0"))
        trainer(callback).fit(module, tuples)


def _hooks(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in trace_of(module).items() if "hooks" in name}
