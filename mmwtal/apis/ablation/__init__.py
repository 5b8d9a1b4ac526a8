"""Plans of ablations: what is compared is written down in one file, runs and tables follow from it."""
