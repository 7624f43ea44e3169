"""Which rivals suit an estimator and its data, and with which values."""

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier
from skaba.evaluation import Rival, find_rivals
from skaba.losses import RRR, SmoothBCEWithLogitsLoss
from tests.evaluation.rivals.nets import (
    CASES,
    IMAGES,
    LABELS,
    SERIES,
    TABLE,
    WORDS,
    image_classifier,
    series_classifier,
    table_classifier,
    text_classifier,
)

COMMON = ["mixup", "FGM", "SAM"]
EXPECTED = {
    "table": ["label smoothing", "dropout", "weight decay (AdamW)", "R-Drop", *COMMON],
    "images": [
        "label smoothing",
        "dropout",
        "weight decay (AdamW)",
        "CutMix",
        "shift",
        "shift and flip",
        "RandAugment",
        *COMMON,
    ],
    "series": ["label smoothing", "weight decay (AdamW)", "CutMix", "time shift", "scaling", "time mask", *COMMON],
    "words": ["label smoothing", "weight decay (AdamW)", "word dropout", *COMMON],
    "several labels": ["label smoothing", "weight decay (AdamW)", *COMMON],
    "regression": ["weight decay (AdamW)", *COMMON],
    "pipeline": ["label smoothing", "dropout", "weight decay (AdamW)", "R-Drop", *COMMON],
}


def found(estimator: Any, X: Any, y: Any = LABELS) -> dict[str, Rival]:
    return {rival.name: rival for rival in find_rivals(estimator, X, y)}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_data_and_task_has_its_rivals(case: str) -> None:
    assert set(found(*CASES[case])) == set(EXPECTED[case])


@pytest.mark.parametrize("case", CASES)
def test_values_ascend_and_include_the_default(case: str) -> None:
    for rival in find_rivals(*CASES[case]):
        assert rival.default in rival.values
        assert list(rival.values) == sorted(set(rival.values))
        assert 2 <= len(rival.values) <= 4


def test_the_value_of_plain_training_is_not_tried_again() -> None:
    assert found(table_classifier(), TABLE)["dropout"].values == (0.2, 0.8)
    assert found(table_classifier(module__dropout=0.2), TABLE)["dropout"].values == (0.5, 0.8)
    smoothing = found(table_classifier(criterion__label_smoothing=0.1), TABLE)["label smoothing"]
    assert (smoothing.values, smoothing.default) == ((0.05, 0.2), 0.05)
    decay = found(table_classifier(optimizer=torch.optim.AdamW), TABLE)["weight decay (AdamW)"]
    assert (decay.values, decay.default) == ((0.1, 1.0), 0.1)


def test_weight_decay_is_that_of_the_optimizer() -> None:
    sgd = found(table_classifier(optimizer=torch.optim.SGD), TABLE)["weight decay"]
    assert sgd.settings["optimizer"] is torch.optim.SGD
    adam = found(table_classifier(optimizer__weight_decay=0.1), TABLE)["weight decay (AdamW)"]
    assert adam.settings["optimizer"] is torch.optim.AdamW
    assert adam.values == (0.01, 0.1, 1.0)  # Adam's decay is another method
    assert not [name for name in found(table_classifier(optimizer=torch.optim.RMSprop), TABLE) if "decay" in name]


def test_dropout_needs_a_parameter_of_a_class_or_function() -> None:
    assert "dropout" not in found(table_classifier(module=nn.Sequential(nn.Linear(4, 3))), TABLE)
    assert "dropout" not in found(ABAClassifier(nn.Linear, module__in_features=4, module__out_features=3), TABLE)
    by_function = found(
        table_classifier(module=lambda dropout=0.8: nn.Sequential(nn.Dropout(dropout), nn.Linear(4, 3))), TABLE
    )
    assert by_function["dropout"].values == (0.2, 0.5)


def test_r_drop_needs_a_network_that_drops_and_the_global_random_state_stays() -> None:
    given = nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 3))
    state = torch.get_rng_state()
    assert "R-Drop" in found(table_classifier(module=given), TABLE)
    assert "R-Drop" not in found(table_classifier(module__dropout=0.0), TABLE)
    assert "R-Drop" not in found(table_classifier(criterion=nn.MultiMarginLoss), TABLE)
    assert torch.equal(torch.get_rng_state(), state)


def test_other_losses_have_no_smoothing_and_samples_with_masks_are_not_mixed() -> None:
    assert "label smoothing" not in found(table_classifier(criterion=nn.MultiMarginLoss), TABLE)
    assert not {"mixup", "CutMix"} & set(found(image_classifier(criterion=nn.MultiMarginLoss), IMAGES))
    assert not {"mixup", "CutMix"} & set(found(image_classifier(penalty=RRR()), IMAGES))


def test_labels_that_do_not_exclude_each_other_are_smoothed() -> None:
    estimator, X, y = CASES["several labels"]
    smoothed = found(estimator, X, y)["label smoothing"].applied_to(estimator, 0.2)
    assert isinstance(smoothed, ABAMultiLabelClassifier)
    assert smoothed.criterion is SmoothBCEWithLogitsLoss
    assert smoothed.fit(X, y).criterion_.label_smoothing == 0.2


@pytest.mark.parametrize(("side", "values"), [(8, (1, 2, 3)), (28, (1, 3, 6, 9)), (32, (2, 4, 8, 12)), (3, (1, 2))])
def test_images_are_shifted_by_an_eighth_of_their_side(side: int, values: tuple[int, ...]) -> None:
    shift = found(image_classifier(), np.zeros((48, 1, side, side), dtype=np.float32))["shift"]
    assert shift.values == values
    assert shift.default == max(1, side // 8)


def test_rand_augment_needs_colours_from_0_to_1() -> None:
    assert "RandAugment" in found(image_classifier(module__channels=3), IMAGES.repeat(3, axis=1))
    assert "RandAugment" not in found(image_classifier(), IMAGES * 2 - 1)
    assert "RandAugment" not in found(image_classifier(module__channels=2), IMAGES.repeat(2, axis=1))


def test_fgm_has_the_published_length_at_word_vectors_only() -> None:
    assert found(text_classifier(), WORDS)["FGM"].default == 5.0
    assert found(series_classifier(), SERIES)["FGM"].default == 1.0


def test_rivals_of_an_input_leave_the_layer_and_those_of_words_keep_it() -> None:
    images = image_classifier(layer="features", augmenter="mend_aba")
    assert found(images, IMAGES)["mixup"].applied_to(images).layer is None
    assert found(images, IMAGES)["label smoothing"].applied_to(images).layer == "features"
    assert found(text_classifier(), WORDS)["mixup"].applied_to(text_classifier()).layer == "embedding"


def test_a_rival_replaces_the_augmenter_and_nothing_else() -> None:
    ours = image_classifier(augmenter="mend_aba", strength=0.3, augmenter__share=0.5, lr=0.01)
    mixup = found(ours, IMAGES)["mixup"].applied_to(ours, 0.4)
    changed = {"augmenter", "augmenter__share", "layer", "strength"}
    before, after = ours.get_params(deep=False), mixup.get_params(deep=False)
    assert {name for name in before if name not in changed and before[name] != after.get(name)} == set()
    assert (mixup.strength, mixup.max_epochs) == (0.4, ours.max_epochs)
    assert "augmenter__share" not in after
    assert ours.augmenter == "mend_aba"


def test_a_function_of_images_is_applied_although_the_estimator_has_strength_0() -> None:
    plain = image_classifier(augmenter="mend_aba", strength=0)
    fitted = found(plain, IMAGES)["shift"].applied_to(plain).fit(IMAGES, LABELS)
    assert not np.array_equal(fitted.augment(IMAGES, LABELS), IMAGES)


def test_estimators_share_no_weights_of_a_module_that_is_given_as_instance() -> None:
    given = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    before = given[0].weight.detach().clone()
    plain = table_classifier(module=given)
    for rival in find_rivals(plain, TABLE, LABELS):
        rival.applied_to(plain).fit(TABLE, LABELS)
        assert torch.equal(given[0].weight, before), rival.name


def test_lbfgs_has_no_sharpness_aware_step() -> None:
    assert "SAM" not in found(table_classifier(optimizer=torch.optim.LBFGS), TABLE)


def test_a_pipeline_keeps_its_steps() -> None:
    estimator, X, y = CASES["pipeline"]
    smoothed = found(estimator, X, y)["label smoothing"].applied_to(estimator, 0.2)
    assert [name for name, _ in smoothed.steps] == [name for name, _ in estimator.steps]
    assert smoothed[-1].get_params()["criterion__label_smoothing"] == 0.2
    assert not hasattr(estimator[0], "mean_")


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match=r"must be an ABAClassifier, .*best_estimator_"):
        find_rivals(nn.Linear(2, 2), TABLE, LABELS)
    with pytest.raises(TypeError, match="X is a dict; rivals are found for an array"):
        find_rivals(table_classifier(), {"x": TABLE}, LABELS)
    with pytest.raises(ValueError, match=r"X has shape \(48, 1, 2, 2, 2\); rivals are known for images"):
        find_rivals(table_classifier(), np.zeros((48, 1, 2, 2, 2), dtype=np.float32), LABELS)
    with pytest.raises(ValueError, match="X must hold numbers"):
        find_rivals(table_classifier(), np.array(["a", "b"]), LABELS[:2])


def test_without_the_libraries_the_others_are_returned_with_a_warning(monkeypatch: Any) -> None:
    known = importlib.util.find_spec
    optional = ("kornia", "pytorch_optimizer")
    monkeypatch.setattr("skaba._extras.find_spec", lambda name: None if name in optional else known(name))
    with pytest.warns(UserWarning, match=r'left out\. .*shift.* needs kornia; .*"skaba\[rivals\]".*SAM needs'):
        left = find_rivals(image_classifier(), IMAGES, LABELS)
    assert not {"shift", "shift and flip", "RandAugment", "SAM"} & {rival.name for rival in left}
    assert "mixup" in {rival.name for rival in left}
