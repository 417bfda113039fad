"""CFDBench: cavity, tube, cylinder and dam, unpacked or in its zips; 20-frame segments out.

In: `<problem>/{prop,bc,geo}/caseNNNN/{u.npy, v.npy, case.json}`, arrays (T, H, W) =
(t, y, x) of any length, in folders or zips (`cavity.zip`, `cylinder/bc.zip`, ...).
Out: fields (20, 2, H, W) and the solid's mask, see `cfdbench_case`.
Source: the published loader (github.com/luo-yining/CFDBench) for the split: per
problem, cases in the order prop, bc, geo and by number, `random.seed(0);
random.shuffle(cases)`, then 80 % train, 10 % validation, the rest test. MoE-POT's
preparation for the segments; its options are `padding`, `mask` and `remainder`,
or all of it, `preparation: reference`.
Departures: whole cases are split, so no segment of one case is in two splits
(that is the published way too); frames that do not fill a segment are dropped
(published: the last one is repeated); arrays stay as they are (published: padded).
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.archive import ArchiveMember, FileTree
from data_shards.formats.npy import NpyHeader, read_array, read_header
from data_shards.read.cfdbench_case import DT_S, Case, MaskPlace, Padding, Problem
from data_shards.read.raw import published
from data_shards.trajectory import Trajectory

Subset = Literal["prop", "bc", "geo"]
MOST_BYTES = 128 << 20  # of one unpacked array; the longest published ones have about half
MOST_JSON = 1 << 16
_CASE = re.compile(r"case(\d+)")
_FILES = ("case.json", "u.npy", "v.npy")


class CfdBenchOptions(Config):
    """What is read of CFDBench, and how much of MoE-POT's preparation is applied."""

    problems: tuple[Problem, ...] = ("cavity", "tube", "cylinder")
    subsets: tuple[Subset, ...] = ("prop", "bc", "geo")
    padding: Padding = "none"
    mask: MaskPlace = "centred"
    remainder: Literal["drop", "repeat"] = "drop"
    # All of MoE-POT's preparation at once: the three above as `reference`, `reference` and
    # `repeat`, and the mask as shares of the fluid, not cut at one half.
    preparation: Literal["own", "reference"] = "own"

    @model_validator(mode="before")
    @classmethod
    def _whole_preparation(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preparation") == "reference":
            return {**values, "padding": "reference", "mask": "reference", "remainder": "repeat"}
        return values

    @field_validator("problems", "subsets", mode="before")
    @classmethod
    def _one_may_stand_alone(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, order=True)
class CaseFolder:
    """A case's files, ordered as the published loader lists them.

    Attributes:
        subset: position of its subset among prop, bc, geo.
        number: of the case.
        problem: which flow.
        files: of the case, by name.
    """

    subset: int
    number: int
    problem: Problem = field(compare=False)
    files: dict[str, ArchiveMember] = field(compare=False, default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.problem}/{get_args(Subset)[self.subset]}/case{self.number:04d}"


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a case.

    Attributes:
        case: its files.
        header: of u.npy; v.npy is alike.
        start: first frame.
        index: number in file order, over all cases.
    """

    case: CaseFolder
    header: NpyHeader
    start: int
    index: int


def open_corpus(card: CorpusCard, split: Split, path: Path) -> "CfdBench":
    """Open one split of CFDBench.

    Args:
        card: with two channels; its `published.options` are `CfdBenchOptions`.
        split: train, validation or test.
        path: a folder with the zips or the unpacked tree, or one zip.

    Raises:
        UserError: files are missing, damaged, hostile or other than the card says.
    """
    options = CfdBenchOptions.read(published(card).options, f"card {card.name} options")
    if len(card.channels) != 2:
        raise UserError(f"card {card.name}: has {len(card.channels)} channels, wanted u and v")
    if not path.exists():
        raise UserError(f"{path}: no such folder or zip; published at {published(card).url}")
    tree = FileTree(path, partial(_zip_fits, options.problems))
    try:
        return CfdBench(card, split, tree, options, path)
    except BaseException:
        tree.close()
        raise


class CfdBench:
    """Segments of the cases of one split; holds the last case that was read."""

    split_known: bool = True
    notes: tuple[str, ...] = ()

    def __init__(
        self, card: CorpusCard, split: Split, tree: FileTree, options: CfdBenchOptions, path: Path
    ) -> None:
        """See `open_corpus`."""
        self._card, self._tree, self._options = card, tree, options
        cases = _cases(tree, path, options.problems)
        self._segments: list[Segment] = []
        total = 0
        sources: set[Path] = set()
        for problem in options.problems:
            chosen = _complete(cases, problem, options.subsets, tree, path)
            sources.update(_source(m) for case in chosen for m in case.files.values())
            headers = {case.name: self._header(case) for case in chosen}
            counts = [self._count(headers[case.name]) for case in chosen]
            first = dict(zip(headers, accumulate(counts, initial=total), strict=False))
            total += sum(counts)
            for case in split_cases(chosen, problem)[split]:
                for number in range(self._count(headers[case.name])):
                    start, index = number * card.frames, first[case.name] + number
                    self._segments.append(Segment(case, headers[case.name], start, index))
        if not self._segments:
            raise UserError(
                f"{path}: the {split} split has no case of {card.frames} frames or more; it is a "
                f"tenth of each problem's cases, give all of them or use another split"
            )
        self.sources: tuple[Path, ...] = tuple(sorted(sources))
        self._last: tuple[str, Case, NDArray[np.float32]] | None = None

    def __len__(self) -> int:
        return len(self._segments)

    def read(self, number: int) -> Trajectory:
        """A segment, with its solid's mask.

        Raises:
            UserError: a file of its case is damaged or other than announced.
        """
        segment = self._segments[number]
        case, fields = self._load(segment)
        frames = fields[segment.start : segment.start + self._card.frames]
        missing = self._card.frames - len(frames)
        frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        mask = case.mask((frames.shape[2], frames.shape[3]), self._options.mask)
        if self._options.padding == "reference":
            fractional = self._options.preparation == "reference"
            frames, mask = case.padded(frames, mask, fractional)
        known = {"problem", *self._card.parameters}
        return Trajectory(
            fields=frames,
            corpus=self._card.name,
            index=segment.index,
            seed=-1,
            dt_s=DT_S[case.problem],
            extent=case.extent,
            boundary=case.boundary,
            parameters={k: v for k, v in case.parameters.items() if k in known},
            mask=None if mask.all() else mask,
        )

    def close(self) -> None:
        """Release the zips and the last case."""
        self._tree.close()
        self._last = None

    def _count(self, header: NpyHeader) -> int:
        """Segments of a case."""
        whole, rest = divmod(header.shape[0], self._card.frames)
        return whole + (rest > 0 and self._options.remainder == "repeat")

    def _header(self, case: CaseFolder) -> NpyHeader:
        """Of both arrays, which must be alike and no larger than they say."""
        found = []
        for name in ("u.npy", "v.npy"):
            member = case.files[name]
            with self._tree.open(member) as file:
                header = read_header(file, str(member))
            rows, columns = self._card.native_grid
            if len(header.shape) != 3 or header.shape[1:] != (rows, columns):
                raise UserError(
                    f"{member}: is {header.shape}, wanted frames, {rows} rows, {columns} columns"
                )
            if header.size > MOST_BYTES or header.size != member.size:
                raise UserError(
                    f"{member}: {header.shape} {header.dtype} are {header.size} bytes, the file "
                    f"has {member.size}; wanted as many and {MOST_BYTES} at most"
                )
            found.append(header)
        if found[0].shape != found[1].shape or found[0].shape[0] == 0:
            raise UserError(
                f"{case.files['v.npy']}: is {found[1].shape}, u.npy beside it {found[0].shape}; "
                "wanted as many frames, at least one"
            )
        return found[0]

    def _load(self, segment: Segment) -> tuple[Case, NDArray[np.float32]]:
        """A whole case, (T, 2, H, W): its segments follow one another."""
        folder = segment.case
        if self._last is None or self._last[0] != folder.name:
            self._last = None  # before the next one is read
            text = self._tree.read(folder.files["case.json"], MOST_JSON)
            case = Case.parse(folder.problem, text, str(folder.files["case.json"]))
            frames, *grid = segment.header.shape
            fields = np.empty((frames, 2, *grid), np.float32)
            for channel, name in enumerate(("u.npy", "v.npy")):
                member = folder.files[name]
                with self._tree.open(member) as file:
                    header = read_header(file, str(member))
                with self._tree.open(member) as file:
                    fields[:, channel] = read_array(file, header, str(member))
            self._last = folder.name, case, fields
        return self._last[1], self._last[2]


def split_cases(cases: Iterable[CaseFolder], problem: Problem) -> dict[Split, list[CaseFolder]]:
    """The published split of one problem's cases.

    The loader rounds the cavity's counts and cuts those of the others off.
    """
    shuffled = sorted(cases)
    random.Random(0).shuffle(shuffled)  # the stream of random.seed(0); random.shuffle(cases)
    whole = round if problem == "cavity" else int
    train, validation = whole(0.8 * len(shuffled)), whole(0.1 * len(shuffled))
    return {
        "train": shuffled[:train],
        "validation": shuffled[train : train + validation],
        "test": shuffled[train + validation :],
    }


def _cases(tree: FileTree, path: Path, problems: tuple[Problem, ...]) -> list[CaseFolder]:
    """All cases of some problems, each with all of its files."""
    found: dict[tuple[str, int, int], CaseFolder] = {}
    for member in tree.members:
        *folders, name = member.parts
        match = _CASE.fullmatch(folders[-1]) if folders else None
        if name not in _FILES or match is None:
            continue
        problem = cast(Problem, _last_of(get_args(Problem), folders, member))
        if problem not in problems:
            continue
        subset = get_args(Subset).index(_last_of(get_args(Subset), folders, member))
        key = problem, subset, int(match[1])
        case = found.setdefault(key, CaseFolder(subset, key[2], problem))
        if name in case.files:
            raise UserError(
                f"{path}: {case.name}/{name} is there twice: {case.files[name]} and {member}; "
                "keep the zips or the unpacked folders, not both"
            )
        case.files[name] = member
    for case in found.values():
        missing = [name for name in _FILES if name not in case.files]
        if missing:
            where = next(iter(case.files.values()))
            raise UserError(
                f"{path}: {case.name} has no {' and no '.join(missing)} beside {where}; "
                "download or unpack it again"
            )
    return list(found.values())


def _last_of(names: tuple[str, ...], folders: list[str], member: ArchiveMember) -> str:
    """The innermost folder that is one of the names."""
    for folder in reversed(folders):
        if folder in names:
            return folder
    raise UserError(
        f"{member}: lies in no folder or zip named {', '.join(names)}; wanted "
        "<problem>/<subset>/caseNNNN as published"
    )


def _complete(
    cases: list[CaseFolder],
    problem: Problem,
    subsets: tuple[Subset, ...],
    tree: FileTree,
    path: Path,
) -> list[CaseFolder]:
    """A problem's cases, with all of its subsets: the split depends on every one of them."""
    chosen = sorted(case for case in cases if case.problem == problem)
    for subset in subsets:
        position = get_args(Subset).index(subset)
        if not any(case.subset == position for case in chosen):
            there = [name for name in _problems_of(tree) if name != problem]
            asked = [name for name in there if any(case.problem == name for case in cases)]
            other = f" (--option 'problems=[{', '.join(asked or there)}]')" if there else ""
            raise UserError(
                f"{path}: holds no case of {problem}/{subset}; fetch its zip, or leave it out by "
                f"the options problems{other} and subsets"
            )
    return [case for case in chosen if get_args(Subset)[case.subset] in subsets]


def _problems_of(tree: FileTree) -> list[str]:
    """Problems of which there is a case."""
    folders = {folder for m in tree.members if m.parts[-1] in _FILES for folder in m.parts}
    return [problem for problem in get_args(Problem) if problem in folders]


def _source(member: ArchiveMember) -> Path:
    """Where a file of a case comes from: its zip, or the folder of all cases of its subset."""
    return member.source if member.inside is not None else member.source.parents[1]


def _zip_fits(problems: tuple[Problem, ...], parts: tuple[str, ...]) -> bool:
    """Whether a zip may hold cases of some problems: others may lie beside, whatever they are."""
    words = {*parts, *re.split(r"[^a-z]+", parts[-1].lower())}
    said = words & set(get_args(Problem))
    if said and not said & set(problems):
        return False
    return bool(said or words & {*get_args(Subset), "cfdbench"})
