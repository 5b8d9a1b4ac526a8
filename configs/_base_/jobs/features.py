# How videos become snippet features, as the field does it: 25 frames a second, 16 frames a snippet, each in one alone.
# A leaf names the streams: the networks, and where optical flow comes from. Whatever stands here except batch_size,
# device, decoders and decode_timeout decides the features, and so the fingerprint of their folder.
default_scope = 'mmwtal'

job = dict(
    type='FeatureExtraction',
    extractor=dict(
        type='VideoExtractor',
        fps=25.0,
        window=16,
        stride=16,
        # The square in the centre; 'ten' averages over those in the centre and the corners, and their mirror images.
        crop='center',
        # What is left at the end of a video: 'drop', or 'pad' with its last frame.
        partial='drop',
        batch_size=16,
        device='auto',
        dtype='float32',
    ),
    storage='float32',
    # Their folder in the data root.
    features='features',
    # Processes that decode and compute flow, and the seconds after which one that hangs is ended.
    decoders=2,
    decode_timeout=600.0,
)
