"""What the page asks for: a sample's place or a file in, the part of the page that shows it out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore

from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.simulation_file import Reading, Simulation
from data_shards.simulation_file.apart import read_apart
from evaluation.records.table import parameters
from evaluation.simulation.likeness import find_fingerprints
from evaluation.simulation.page.render import render_page, render_scrub
from evaluation.simulation.page.samples import parameters_text, sample_simulation, shelves
from evaluation.simulation.page.scrub import check_window, scrub
from evaluation.simulation.report import judge
from evaluation.simulation.scaling import Scaling, scaling_for
from evaluation.simulation.training_hints import training_hints
from foundation import Surrogate
from foundation.checkpoint.folder import find_folder

_READERS = 2  # processes that read files, each of some GiB at most
_PATIENCE_S = 120.0  # of a request that waits for its turn


class BusyError(UserError):
    """Others are served first; another time it will do."""


class Explorer:
    """One checkpoint, and a folder of shards beside it."""

    def __init__(self, model: Surrogate, checkpoint: str, shards: str | Path | None = None) -> None:
        """Look at what there is.

        Args:
            model: of the checkpoint, in evaluation mode.
            checkpoint: folder or hub name, where fingerprints may lie.
            shards: name (`find_shards`) of those to pick samples from.

        Raises:
            UserError: it is no folder of shards.
        """
        self._model, self._checkpoint, self._shards = model, checkpoint, shards
        self._folder = find_folder(checkpoint)
        self._fingerprints, self._unlike = find_fingerprints(model, self._folder)
        self._found, self._left_out = shelves(find_shards(shards), model) if shards else ((), ())
        self._readers = BoundedSemaphore(_READERS)
        self._forecasts = BoundedSemaphore(1)  # one takes all cores anyway

    def page(self, most_upload_bytes: int) -> str:
        """The page before anything is shown."""
        config, counts = self._model.config, self._model.parameter_counts()
        facts = (
            f"{config.model_type}, {parameters(counts.total)} parameters, "
            f"{parameters(counts.activated)} activated; sees {config.context_frames} frames of "
            f"{config.resolution} x {config.resolution}, up to {config.channels} channels."
        )
        return render_page(self._checkpoint, facts, self._found, self._left_out, most_upload_bytes)

    def sample(self, corpus: str, split: str, index: int, start: int, steps: int | None) -> str:
        """A forecast for a sample of the shards.

        Raises:
            UserError: there is none such, or the model cannot take it.
        """
        if self._shards is None:
            raise UserError("no shards to pick from; start again with --shards DIR")
        opened = ShardedCorpus.open(find_shards(self._shards, [(corpus, split)]), corpus, split)
        simulation = sample_simulation(opened, index, self._model)
        about = parameters_text(opened, index)
        return self._shown(simulation, about, (), start, steps)

    def file(
        self, path: Path, reading: Reading, start: int, steps: int | None, scale: str | None
    ) -> str:
        """A forecast for a file that is not trusted.

        Args:
            path: of the file.
            reading: what is known of it; its mask is an array of the file.
            start: first frame of the context.
            steps: frames wanted; as many as are known by default.
            scale: of `--scale`; what is shown stays in the file's values.

        Raises:
            UserError: it cannot be read, or the model cannot take it.
        """
        reading = replace(reading, frames=self._model.config.context_frames)
        with _turn(self._readers):
            simulation = read_apart(path, reading)
        scaling = None
        if scale is not None:
            with _turn(self._forecasts):
                scaling = scaling_for(scale, self._model, simulation, steps)
        seen = scaling.applied(simulation) if scaling else simulation
        notes = (*seen.assumed, *training_hints(self._model, seen))
        return self._shown(simulation, "", notes, start, steps, scaling)

    def _shown(
        self,
        simulation: Simulation,
        about: str,
        notes: Sequence[str],
        start: int,
        steps: int | None,
        scaling: Scaling | None = None,
    ) -> str:
        with _turn(self._forecasts):
            ahead = check_window(self._model, simulation, start, steps)
            seen = scaling.applied(simulation) if scaling else simulation
            report = judge(self._model, seen, self._folder, ahead, scaling=scaling)
            found = scrub(
                self._model, simulation, self._fingerprints,
                start=start, steps=ahead, report=report, scaling=scaling,
            )  # fmt: skip
        return render_scrub(found, about, (*notes, *report.far_from_zero), self._unlike)


@contextmanager
def _turn(places: BoundedSemaphore) -> Iterator[None]:
    """Hold one of several places.

    Raises:
        BusyError: none became free in time.
    """
    if not places.acquire(timeout=_PATIENCE_S):
        raise BusyError("busy with other requests; try again in a while")
    try:
        yield
    finally:
        places.release()
