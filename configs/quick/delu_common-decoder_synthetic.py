# DELU decoded as CO2-Net is, with the decoder that suits every base model: what its own inference adds shows beside it.
_base_ = ['./delu_synthetic.py']

model = dict(decoder=dict(_delete_=True, type='MultiThresholdDecoder'))
