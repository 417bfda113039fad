"""Pages of the site that are made at build from other sources of the repository."""
