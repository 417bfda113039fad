"""Presets and recipes that ship, by their names."""

from importlib.resources import files


def preset_names() -> list[str]:
    """Names of the shipped presets."""
    folder = files("foundation") / "presets"
    return sorted(
        e.name.removesuffix(".yaml") for e in folder.iterdir() if e.name.endswith(".yaml")
    )


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    folder = files("foundation") / "presets" / "recipes"
    return sorted(e.name.removesuffix(".yaml") for e in folder.iterdir())
