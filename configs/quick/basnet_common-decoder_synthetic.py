# BaS-Net decoded as CO2-Net is, with the decoder that suits every base model: what its own inference adds shows beside it.
_base_ = ['./basnet_synthetic.py']

model = dict(decoder=dict(_delete_=True, type='MultiThresholdDecoder'))
