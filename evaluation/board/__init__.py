"""Records in, leaderboards, pages and model cards out."""
