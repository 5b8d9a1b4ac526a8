# Dual-prior guidance for narrow features and short runs, such as the embedded dataset's: widths and depths are ours.
_base_ = ['./dual.py']

_guidance = dict(
    ksm=dict(hidden_channels=64, embed_channels=64, dropout=0.3),
    csr=dict(
        mask_generator=dict(hidden_channels=64, dropout=0.3),
        reconstructor=dict(hidden_channels=64, encoder_layers=1, decoder_layers=1),
    ),
)
