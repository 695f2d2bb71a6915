# ADE20KDataset ignores label 0; that is about its own files and does not come along.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='SegformerHead', in_channels=[32, 64], channels=16, num_classes=150))
train_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset',
        data_root='data/ade',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', reduce_zero_label=True),
            dict(type='PackSegInputs')
        ]))
