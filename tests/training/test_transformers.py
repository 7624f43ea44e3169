"""The mixin for transformers' ``Trainer`` trains as the plain loop does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from skaba.augmenters import Augmenter, GaussianNoise
from skaba.losses import RRR
from skaba.testing import trace_of
from skaba.training import Augmentation, AugmentedTrainerMixin
from tests.training.loops import same

transformers = pytest.importorskip("transformers")

CRITERION = nn.CrossEntropyLoss()
WORDS = "bert.embeddings.word_embeddings"

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(autouse=True)
def _without_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers takes this repository's folder ``datasets`` for the library of that name."""
    monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)


class AugmentedTrainer(AugmentedTrainerMixin, transformers.Trainer):
    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def bert() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(
        vocab_size=30,
        max_position_embeddings=12,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.3,
        **sizes,
    )
    return transformers.BertForSequenceClassification(config).train()


def vit() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=3, **sizes)
    return transformers.ViTForImageClassification(config).train()


def texts(n: int = 12) -> list[dict[str, Any]]:
    """Rows of word ids that are padded on the right."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for k in range(n):
        length = 4 + k % 5
        ids = torch.zeros(9, dtype=torch.int64)
        ids[:length] = torch.randint(1, 30, (length,), generator=generator)
        rows.append({"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": k % 3, "index": k})
    return rows


def images(n: int = 12) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    return [{"pixel_values": torch.randn(1, 8, 8, generator=generator), "labels": k % 3, "index": k} for k in range(n)]


def augmentation_of(model: nn.Module, augmenter: Any = "mend_aba", layer: str | None = None, **more: Any) -> Any:
    return Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0, **more)


def fitted(model: nn.Module, rows: Any, augmentation: Any, folder: Path, **settings: Any) -> dict[str, Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    kinds = settings.pop("kind", AugmentedTrainer)
    given = {} if augmentation is None else {"augmentation": augmentation}
    args = transformers.TrainingArguments(
        output_dir=str(folder),
        **{
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "max_grad_norm": 0,
            "report_to": "none",
            "save_strategy": "no",
            "disable_tqdm": True,
            "use_cpu": True,
            "remove_unused_columns": False,
            **settings,
        },
    )

    def loss_of(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        # As Trainer wants it; BertForSequenceClassification itself forgets to divide where gradients accumulate.
        return nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    more = {"compute_loss_func": loss_of} if "gradient_accumulation_steps" in settings else {}
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    kinds(model, args, train_dataset=rows, optimizers=(optimizer, schedule), **given, **more).train()
    return model.state_dict()


def by_hand(model: nn.Module, rows: Any, augmentation: Any, accumulate: int = 1) -> dict[str, Tensor]:
    """The plain loop; with transformers' own loss, the mean over all samples of an optimiser step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [transformers.default_data_collator(rows[k : k + 4]) for k in range(0, len(rows), 4)] * 2
    for k, collated in enumerate(batches):
        batch = dict(collated)
        labels, index, mask = batch.pop("labels"), batch.pop("index"), batch.pop("mask", None)
        x = batch.get("pixel_values", batch)
        with augmentation(x, labels, index=index, mask=mask) as (x_seen, y_seen):
            output = model(**x_seen) if isinstance(x_seen, dict) else model(x_seen)
            loss = CRITERION(output.logits, y_seen) + augmentation.penalty(output)
            (loss / accumulate).backward()
        if k % accumulate == accumulate - 1:
            optimizer.step()
            optimizer.zero_grad()
    return model.state_dict()


def require_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("augmenter", "accumulate"), [("mend_aba", 1), ("free_aba", 1), (GaussianNoise(), 1), ("free_aba", 3)], ids=str
)
def test_text(augmenter: Any, accumulate: int, tmp_path: Path) -> None:
    model, expected = bert(), bert()
    hooks = _hooks(model)
    found = fitted(
        model, texts(), augmentation_of(model, augmenter, WORDS), tmp_path, gradient_accumulation_steps=accumulate
    )
    require_close(found, by_hand(expected, texts(), augmentation_of(expected, augmenter, WORDS), accumulate))
    plain = by_hand(bert(), texts(), augmentation_of(bert(), None), accumulate)
    assert not all(torch.allclose(found[name], plain[name], atol=1e-4) for name in found)
    assert _hooks(model) == hooks


def _hooks(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in trace_of(module).items() if "hooks" in name}


class Plain(AugmentedTrainer):
    """A Trainer that does not augment, though it stands under the mixin."""

    def __init__(self, *args: Any, augmentation: Any = None, **kwargs: Any) -> None:
        transformers.Trainer.__init__(self, *args, **kwargs)

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs.pop("index")
        return transformers.Trainer.training_step(self, model, inputs, *args, **kwargs)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return transformers.Trainer.compute_loss(self, *args, **kwargs)


@pytest.mark.parametrize("settings", [{"augmenter": None}, {"strength": 0}])
def test_without_augmentation_training_is_plain(settings: Any, tmp_path: Path) -> None:
    model = bert()
    augmentation = Augmentation(model, **{"layer": WORDS, "criterion": CRITERION, **settings})
    assert same(fitted(model, texts(), augmentation, tmp_path), fitted(bert(), texts(), None, tmp_path, kind=Plain))


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba"])
@pytest.mark.parametrize("layer", [None, "vit.embeddings.patch_embeddings.projection"])
def test_images(augmenter: str, layer: str | None, tmp_path: Path) -> None:
    model, expected = vit(), vit()
    found = fitted(model, images(), augmentation_of(model, augmenter, layer), tmp_path)
    require_close(found, by_hand(expected, images(), augmentation_of(expected, augmenter, layer)))
    assert not same(found, by_hand(vit(), images(), augmentation_of(vit(), None)))


def test_padding_stays_as_it_is() -> None:
    model = bert()
    seen: list[Tensor] = []
    augmentation = augmentation_of(model, GaussianNoise(), WORDS)
    rows = texts()
    batch = transformers.default_data_collator(rows[:4])
    before = model.bert.embeddings.word_embeddings(batch["input_ids"])
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with augmentation(inputs, batch["labels"]):
        model.bert.embeddings.word_embeddings.register_forward_hook(lambda *call: seen.append(call[-1].detach()))
        model(**inputs)
    changed = (seen[-1] != before).any(dim=-1)
    assert torch.equal(changed, batch["input_ids"] != 0)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_penalty(accumulate: int, tmp_path: Path) -> None:
    rows = [{**row, "mask": torch.arange(9) < 3} for row in texts()]
    model, expected = bert(), bert()
    for each in (model, expected):
        each.config._attn_implementation = "eager"  # torch's fused attention has no second derivative
    found = fitted(
        model,
        rows,
        augmentation_of(model, "fgsm", WORDS, penalty=RRR()),
        tmp_path,
        gradient_accumulation_steps=accumulate,
    )
    require_close(found, by_hand(expected, rows, augmentation_of(expected, "fgsm", WORDS, penalty=RRR()), accumulate))
    without = bert()
    plain = by_hand(without, texts(), augmentation_of(without, "fgsm", WORDS), accumulate)
    assert not torch.allclose(found["classifier.weight"], plain["classifier.weight"], rtol=0.01)


def test_labels_that_change(tmp_path: Path) -> None:
    class Other(Augmenter):
        def _plan(self, batch: Any, strength: float) -> Any:
            return lambda x: x + strength, (batch.y + 1) % 3

    model, expected = vit(), vit()
    found = fitted(model, images(), augmentation_of(model, Other()), tmp_path)
    require_close(found, by_hand(expected, images(), augmentation_of(expected, Other())))


def test_evaluation_is_not_augmented(tmp_path: Path) -> None:
    model = bert()
    args = transformers.TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    trainer = AugmentedTrainer(model, args, eval_dataset=texts(), augmentation=augmentation_of(model, layer=WORDS))
    batch = transformers.default_data_collator(texts())
    batch.pop("index")
    with torch.no_grad():
        expected = model.eval()(**batch).loss
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected.item(), abs=1e-6)


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    model = bert()
    with pytest.raises(ValueError, match="pass index="):
        fitted(model, texts(), augmentation_of(model, "free_aba", WORDS), tmp_path, remove_unused_columns=True)
    with pytest.raises(ValueError, match="made for another BertForSequenceClassification"):
        fitted(model, texts(), augmentation_of(bert(), layer=WORDS), tmp_path)
    with pytest.raises(ValueError, match="several inputs: name the layer"):
        fitted(model, texts(), augmentation_of(model), tmp_path)
