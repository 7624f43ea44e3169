"""The advice that follows from the scores, by written rules."""

from __future__ import annotations

import re

from skaba.evaluation.worth._arms import ABA, FREE, METHOD, OUTSIDER, PLAIN, RANDOM_MAP
from skaba.evaluation.worth._gains import Gains
from skaba.evaluation.worth._training import Course


def advice(gains: Gains, *, combinations: dict[str, str], course: Course | None = None, remark: str = "") -> str:
    """Return what to do, in few sentences.

    The rules are those of :func:`worth`.

    Parameters
    ----------
    gains : Gains
    combinations : dict of str to str
        By the name of ABA on top of a rival, the name of that rival.
    course : Course, default=None
        Of plain training.
    remark : str, default=""
        Why the rule for the strength missed its target in most repetitions.

    Returns
    -------
    str
    """
    failed = [name for name in (PLAIN, ABA, RANDOM_MAP) if name not in gains.means]
    if failed:
        return f"There is no advice, because fits failed: {', '.join(failed)}."
    # The outsider's advantage does not answer whether ABA helps the network, so both are said.
    first, second = _on_aba(gains, combinations, remark)
    instead = _instead(gains)
    if course is not None and course.is_short:
        return f"{_longer(course)} {instead or first}"
    if instead:
        return f"{instead} If it has to be a network: {first}"
    return f"{first} {second}".strip()


def _longer(course: Course) -> str:
    return (
        f"Train longer first: plain training reaches a score of only {course.train:.2f} on its training samples, and "
        f"the held-out score still rises, from {course.before:.2f} after three quarters of the epochs to "
        f"{course.after:.2f} at the end."
    )


def _instead(gains: Gains) -> str:
    """Return the advice to use no network, if an outsider beats all of them; otherwise nothing."""
    networks = gains.members(PLAIN, FREE, METHOD)
    outsider, network = gains.best(gains.members(OUTSIDER)), gains.best(networks)
    if outsider is None or network is None or not gains.beats(outsider, networks):
        return ""
    return (
        f"Use {outsider} instead of a network: {gains.of(outsider, network)} over the best network that was tried "
        f"({network})."
    )


def _on_aba(gains: Gains, combinations: dict[str, str], remark: str) -> tuple[str, str]:
    """Return the advice on ABA as a first sentence, and a second one that may be empty."""
    on_top = _on_top(gains, combinations)
    gain = gains.of(ABA)
    if gain.is_above:
        return _with_a_gain(gains, on_top)
    if on_top:
        return on_top, f"Alone, ABA is not shown to help: {gain} over plain training."
    if gain.is_below:
        return f"Do not use ABA here: {gain} compared with plain training.", _other(gains)
    # Half the width is what a mean gain must exceed for its interval to lie above 0.
    least = gain.written((gain.high - gain.low) / 2, sign=False)
    seen = (
        f"; {gains.comparison.n_seeds} repetitions cannot show gains below {least}{gain.unit}"
        if gain.interval and float(least)
        else ""
    )
    first = f"ABA is not shown to help here: {gain} over plain training{seen}."
    return first, f"{_first_sentence(remark)} {_other(gains)}".strip()


def _with_a_gain(gains: Gains, on_top: str) -> tuple[str, str]:
    """Return the advice if ABA is above plain training."""
    gain, over_random = gains.of(ABA), gains.of(ABA, RANDOM_MAP)
    free = gains.members(FREE)
    # ABA must beat each rival and not only the best one: the best was chosen by these scores, which flatter it.
    best = gains.best(name for name in free if not gains.of(ABA, name).is_above)
    if best is not None and gains.of(best, ABA).is_above:
        return f"Use {best} instead of ABA: {gains.of(best)} over plain training, where ABA earns {gain}.", on_top
    random = "" if over_random.is_above else _random_map(gains)
    if best is not None:
        return (
            f"ABA helps, {gain} over plain training, but it cannot be told apart from {best}, which costs nothing: "
            f"{gains.of(best)}. Try that first.",
            on_top or random,
        )
    if random:
        return f"ABA helps, {gain} over plain training.", random
    rival = gains.best(free)
    reached = (
        "" if rival is None else f"; no free rival that was tried reaches it (the best, {rival}: {gains.of(rival)})"
    )
    return f"ABA is worth it: {gain} over plain training, of which {over_random} over a random map{reached}.", on_top


def _random_map(gains: Gains) -> str:
    return (
        "The gain need not come from attribution: over a random map it is not shown to earn anything, "
        f"{gains.of(ABA, RANDOM_MAP)}."
    )


def _on_top(gains: Gains, combinations: dict[str, str]) -> str:
    """Return what ABA adds to a rival, if it is shown to add something; otherwise nothing."""
    for name, rival in combinations.items():
        if {name, rival} <= gains.means.keys() and gains.beats(name, [PLAIN, rival]):
            return f"ABA is worth trying on top of {rival}: {gains.of(name, rival)} over {rival} alone."
    return ""


def _other(gains: Gains) -> str:
    """Return what else is above plain training, or scores as much without a network."""
    other = gains.best(name for name in gains.members(FREE, OUTSIDER) if gains.of(name).is_above)
    if other is not None:
        return f"Use {other}: {gains.of(other)} over plain training."
    simple = gains.best(gains.members(OUTSIDER))
    if simple is None or gains.means[simple] < gains.means[PLAIN]:
        return ""
    return f"Without a network, {simple} scores as much as plain training: {gains.of(simple)}."


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.) (?=[A-Z])", text)[0]
