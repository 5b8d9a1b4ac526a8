"""Snippet features of raw videos: networks that turn clips into vectors, and what runs them over a video."""
