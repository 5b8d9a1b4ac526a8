"""The layers of the published code of TSM + VLC, and ours."""

ATTENTION = {'attention.0': 'attention.conv1', 'attention.3': 'attention.conv2', 'attention.5': 'attention.score'}
AUTOENCODER = {
    'AE_e.0': 'encode',
    'AE_d.0': 'decode',
    'bit_wise_attn.0': 'local_conv',
    'channel_conv.0': 'global_conv',
    **ATTENTION,
}
AUTOENCODERS = {
    f'{theirs}.{key}': f'{ours}.{name}'
    for theirs, ours in (('vAttn', 'rgb'), ('fAttn', 'flow'))
    for key, name in AUTOENCODER.items()
}
BASE = {
    **{key: f'backbone.autoencoders.{name}' for key, name in AUTOENCODERS.items()},
    'fusion.0': 'backbone.fusion',
    'fusion2.0': 'head.hidden',
    'txt_emb.0': 'head.class_weights.project',
    'MHA.proj': 'head.class_weights.attention.out_proj',
    'mlp.0': 'head.class_weights.feed_forward.0',
    'mlp.3': 'head.class_weights.feed_forward.3',
}
LAYER = {
    'self_attn.out_proj': 'self_attention.out',
    'self_attn_layer_norm': 'self_norm',
    'encoder_attn.out_proj': 'memory_attention.out',
    'encoder_attn_layer_norm': 'memory_norm',
    'fc1': 'feed_forward.0',
    'fc2': 'feed_forward.3',
    'final_layer_norm': 'feed_forward_norm',
}
STACKS = {'trans.decoder1': 'encoder.layers', 'trans.decoder2': 'decoder.transformer.layers'}
COMPLETION = {
    'frame_fc': 'tokens.project',
    'word_fc': 'decoder.project',
    'fc_rec': 'decoder.classify',
    **{
        f'{stack}.decoder_layers.{depth}.{key}': f'{ours}.{depth}.{name}'
        for stack, ours in STACKS.items()
        for depth in range(3)
        for key, name in LAYER.items()
        if stack == 'trans.decoder2' or not key.startswith('encoder_attn')
    },
}
# Attentions whose projections of query, key and value are one parameter with the authors.
PROJECTIONS = {
    f'{stack}.decoder_layers.{depth}.{kind}': f'{ours}.{depth}.{name}'
    for stack, ours in STACKS.items()
    for depth in range(3)
    for kind, name in (('self_attn', 'self_attention'), ('encoder_attn', 'memory_attention'))
    if stack == 'trans.decoder2' or kind == 'self_attn'
}
