"""Fields on the page: pictures in, films out, as many as a light page can carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_shards.catalogue import card_names, load_card
from evaluation.board.groups import ColumnGroup
from evaluation.board.page.elements import Figure
from evaluation.board.page.film import draw_film
from evaluation.board.page.residual_map import draw_residual
from evaluation.records.samples import Picture

MAX_BYTES = 1_200_000  # of all films together
_CELLS = (128, 64)  # per side; coarser where finer films would not fit in


@dataclass(frozen=True)
class PicturedModel:
    """Fields to show for a column, and whose they are."""

    label: str
    picture: Picture


@dataclass(frozen=True)
class Films:
    """What is shown of a group.

    Attributes:
        figures: one per task with a picture.
        left_out: tasks whose film did not fit in.
    """

    figures: tuple[Figure, ...]
    left_out: int


def films_of(
    groups: Sequence[ColumnGroup], pictures: Mapping[str, PicturedModel], max_bytes: int = MAX_BYTES
) -> dict[str, Films]:
    """The best model of every task against the truth, by the anchors of the groups.

    Args:
        groups: in the order of the page; the first have the first call on the space.
        pictures: by the name of the task; may lack any.
        max_bytes: of all films together.
    """
    for cells in _CELLS:
        drawn = {group.anchor: _films(group, pictures, cells) for group in groups}
        if sum(_size(each) for figures in drawn.values() for each in figures) <= max_bytes:
            break
    films, left = {}, max_bytes
    for anchor, figures in drawn.items():
        kept = []
        for figure in figures:
            if _size(figure) <= left:
                left -= _size(figure)
                kept.append(figure)
        films[anchor] = Films(tuple(kept), len(figures) - len(kept))
    return films


def _size(figure: Figure) -> int:
    """Bytes of its film or drawings in the page."""
    film = 0 if figure.film is None else len(figure.film.strip.address)
    return film + sum(map(len, figure.drawings))


def _films(group: ColumnGroup, pictures: Mapping[str, PicturedModel], cells: int) -> list[Figure]:
    films = []
    for column in group.columns:
        if (shown := pictures.get(column.task.name)) is not None:
            caption = f"{shown.label}: {_first_channel(column.task.corpus)}, first test trajectory"
            film = draw_film(shown.picture, 0, column.title, cells)
            films.append(Figure(column.title, caption, film=film))
            if shown.picture.residual is not None:
                drawn = draw_residual(shown.picture, column.title)
                caption = f"{shown.label}: what the equation leaves; lines are faces of boxes"
                films.append(Figure(column.title, caption, drawings=[drawn]))
    return films


def _first_channel(corpus: str) -> str:
    """Name and unit of what is drawn; a record may be of a corpus that has no card here."""
    if corpus not in card_names():
        return "first channel"
    channel = load_card(corpus).channels[0]
    return channel.name if channel.unit == "1" else f"{channel.name} in {channel.unit}"
