# Dual-prior guidance whose key semantics are matched on a second stream of features that lies in the space of the word
# vectors, as CLIP's frame features lie in that of its texts: for the embedded dataset, whose data root has such a
# stream. For CLIP features: stream_channels is their width, texts.encoder the CLIPTextEncoder of the same model. A
# config takes `_streams` into its training dataset. The scale is ours: the stream's cosines are small.
_base_ = ['./dual_small.py']

_streams = dict(clip='features-clip')
_guidance = dict(
    ksm=dict(stream='clip', stream_channels=50, matching='adapted', centred=True, scale=20.0),
)
