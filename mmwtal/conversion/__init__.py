"""Writing a data root from files of other forms, with an audit of what was kept. Needs no torch."""
