"""Networks that turn images into features for the metrics, one file each; the list of them is in `features.py`."""
