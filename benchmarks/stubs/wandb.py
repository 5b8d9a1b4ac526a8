"""Stands for the package that DELU's code imports; with its option ``--without_wandb`` nothing of it is called."""
