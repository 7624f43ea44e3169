import pytest

from skaba.attribution import InputXGradient, RandomMap, TrueClass
from skaba.augmenters import ABA, PRESETS, AdjustmentSet, Cutoff, GaussianNoise, fast_aba, fgsm, mend_aba
from skaba.plotting._names import augmenter_name


def own_function(model, x, y, **arguments):
    return x


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_called_by_its_name(name):
    assert augmenter_name(PRESETS[name]()) == augmenter_name(name) == name


@pytest.mark.parametrize(
    ("augmenter", "name"),
    [
        (mend_aba(k=6), "mend_aba(target__k=6)"),
        (mend_aba(attribution=RandomMap()), "mend_aba(attribution=RandomMap())"),
        (fast_aba(share=0.5, resolution=0.5), "fast_aba(resolution=0.5, share=0.5)"),
        (fgsm(selection=Cutoff(0.1)), "fgsm(selection=Cutoff(0.1))"),
        (GaussianNoise(), "GaussianNoise"),
        (own_function, "own_function"),
    ],
)
def test_differing_parameters_are_named(augmenter, name):
    assert augmenter_name(augmenter) == name


def test_an_augmenter_unlike_all_presets_has_the_name_of_its_class():
    aba = ABA(attribution=InputXGradient(), target=TrueClass(), adjustments=AdjustmentSet([1]), randomize=False)
    assert augmenter_name(aba).startswith("ABA(")
    for parameter in ("InputXGradient()", "TrueClass()", "AdjustmentSet([1])", "randomize=False"):
        assert parameter in augmenter_name(aba)
