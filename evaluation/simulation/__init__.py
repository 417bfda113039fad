"""A user's own simulation: on the model's grid, forecast, reported."""
