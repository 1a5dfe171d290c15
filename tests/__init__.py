"""The tests mirror the house; `tests/sizes.py` has every count."""
