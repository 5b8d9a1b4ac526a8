"""Helpers without domain knowledge; every module of the package may import them."""
