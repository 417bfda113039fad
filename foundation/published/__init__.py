"""The authors' own checkpoint files, read and written."""
