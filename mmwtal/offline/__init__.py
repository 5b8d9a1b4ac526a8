"""Offline jobs over many videos: sharded, resumable and honest about failures; texts and features are made by them."""
