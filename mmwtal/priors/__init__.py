"""What a language model, or a person, says of the training videos: its store, its checks and its vectors."""
