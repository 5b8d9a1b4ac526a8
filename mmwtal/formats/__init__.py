"""The files of a data root: reading and checking annotations, feature files and their sidecar. Needs no torch."""
