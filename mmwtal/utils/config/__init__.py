"""Reading configs: where each value was written, and what is wrong with them."""
