# The guidance of TSM + VLC for narrow features and short runs, as the embedded dataset has them: widths, depths, the
# generator's dropout and the constant learning rate are ours.
_base_ = ['./tsmvlc.py']

_guidance = dict(
    texts=dict(data_root='data/synthetic', encoder=dict(path='vectors.txt')),
    csr=dict(
        mask_generator=dict(code_channels=32, hidden_channels=64, dropout=0.2),
        reconstructor=dict(hidden_channels=64, encoder_layers=1, decoder_layers=1),
    ),
)
_optim_wrapper = dict(paramwise_cfg=dict(guidance=dict(lr=1e-3)))
param_scheduler = None
