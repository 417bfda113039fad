"""After how many forecasts a model has repaid what it cost: seconds and errors in, counts out."""
