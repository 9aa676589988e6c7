"""Recipes: what is trained on what, with which augmentation and for how long."""
