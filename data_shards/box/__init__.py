"""Boxes of cells with walls and solids in three dimensions: differences, solves, projection."""
