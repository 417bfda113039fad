"""What is judged, and on what terms: the YAML files beside this one, read."""
