"""What follows from errors on known frames for the forecast that is asked for, in one sentence.

Errors on known frames are followed to the last frame, from which the forecast goes on. It is of use
up to the last frame whose expected error is within `usable`, and until which, in the mean, it is
below that of repeating the last frame. Frames farther ahead than any known one are not tested, and
nothing is promised of them.
The thresholds are ours; how often the verdict was right stands in `studies/strangers`.
"""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from data_shards.config import Config
from evaluation.records.table import number
from evaluation.simulation.known_frames import KnownErrors

Answer = Literal["usable", "partly", "fine_tune", "unknown"]


class Thresholds(Config):
    """Relative L2 errors up to which a frame is called accurate, and of use."""

    accurate: PositiveFloat = 0.1
    usable: PositiveFloat = 0.2
    resampling: PositiveFloat = 0.5  # share of the first frame's error from which it is named


class Verdict(Config):
    """One answer, in one sentence."""

    answer: Answer
    usable: NonNegativeInt  # frames ahead, of those asked for
    tested: NonNegativeInt  # likewise
    asked: PositiveInt
    sentence: str
    thresholds: Thresholds


def decide(
    errors: KnownErrors | None,
    resampling: float,
    thresholds: Thresholds,
    context_frames: int,
    asked: int | None,
) -> Verdict:
    """The verdict that follows from the numbers.

    Args:
        errors: on known frames, if there are any.
        resampling: relative L2 error of a frame to the model's grid and back.
        thresholds: what the numbers are compared with.
        context_frames: frames that the model needs.
        asked: frames of the forecast; None: as many as are known.
    """
    tested = 0 if errors is None else errors.reach
    asked = asked or tested or 1

    def verdict(answer: Answer, usable: int, sentence: str) -> Verdict:
        return Verdict(
            answer=answer,
            usable=usable,
            tested=min(tested, asked),
            asked=asked,
            sentence=sentence,
            thresholds=thresholds,
        )

    if errors is None:
        return verdict(
            "unknown",
            0,
            f"nothing is known of the error: the file has no more than the {context_frames} frames "
            f"that the model begins with; give at least {context_frames + 1}.",
        )
    if not errors.moves:
        return verdict("unknown", 0, "nothing moves in these frames, so nothing can be judged.")
    tested = min(tested, asked)
    usable = usable_frames(errors, thresholds)
    last = usable or 1
    told = (
        f"by frame {last} an error of {number(errors.by_frame[last - 1].expected)} is to be "
        f"expected, of {number(errors.floor_by_frame[last - 1])} by repeating the last frame"
    ) + _resampling(errors, resampling, thresholds)
    untested = f"frames {tested + 1} to {asked} were not tested: the file does not reach so far"
    if not usable:
        rest = f"; {untested}" if tested < asked else ""
        return verdict("fine_tune", 0, f"do not use the forecast, fine-tune first: {told}{rest}.")
    first = f"its first {usable} of {asked} frames" if usable > 1 else f"frame 1 of {asked}"
    frames = f"all its {asked} frames" if asked > 1 else "its one frame"
    sentence = f"the forecast can be used for {frames if usable == asked else first}: {told}"
    if usable == asked:
        return verdict("usable", usable, f"{sentence}.")
    if usable < tested:
        sentence += f"; from frame {usable + 1} on it cannot, better fine-tune"
    if tested < asked:
        sentence += f"; {untested}"
    return verdict("partly", usable, f"{sentence}.")


def usable_frames(errors: KnownErrors, thresholds: Thresholds) -> int:
    """Frames ahead up to which a forecast is of use."""
    return min(errors.within(thresholds.usable).expected, errors.better_until)


def _resampling(errors: KnownErrors, resampling: float, thresholds: Thresholds) -> str:
    """Said where resampling is the better part of the error."""
    if errors.keeps_detail or resampling < thresholds.resampling * errors.by_frame[0].expected:
        return ""
    return (
        f" (resampling to the model's grid and back alone errs by {number(resampling)}: a grid "
        "nearer to the model's would help)"
    )
