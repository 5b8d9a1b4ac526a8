# What the training videos are asked about, and how. A leaf names the engine: what runs the model.
# Whatever stands here except counts of processes decides the answers, and so the fingerprint of the store.
default_scope = 'mmwtal'

job = dict(
    type='PriorGeneration',
    dialogue=dict(
        type='Dialogue',
        # The actions that the model is told of: those of the video, or 'classes', all of the data set.
        label_prior='video',
        # Spans may come from test videos that the model has seen: never asked for unless wanted, never trained on.
        spans=False,
        # Frames a second, and at most: one pass is as long as it can be without thinning them out.
        fps=1.0,
        max_frames=96,
        short_side=336,
        # Seconds: up to one_pass a video is seen at once, beyond it in windows.
        one_pass_seconds=96.0,
        window_seconds=80.0,
        overlap_seconds=10.0,
        max_tokens=1024,
        temperature=0.0,
        seed=0,
    ),
    # Processes that decode, and the seconds after which one that hangs is ended.
    decoders=2,
    decode_timeout=300.0,
)
