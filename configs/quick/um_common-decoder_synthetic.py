# UM decoded as CO2-Net is, with the decoder that suits every base model: what its own inference adds shows beside it.
_base_ = ['./um_synthetic.py']

model = dict(decoder=dict(_delete_=True, type='MultiThresholdDecoder'))
