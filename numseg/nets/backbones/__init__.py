"""Classifiers, and what segmentation networks take of them; one file for each publication."""
