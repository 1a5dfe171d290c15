"""Merging said a second time, from the laws alone, and random histories that hold the product to it."""
