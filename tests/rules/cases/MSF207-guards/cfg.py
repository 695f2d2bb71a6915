# custom_imports may be a text, and the list of a child replaces that of its base.
custom_imports = dict(imports='os', allow_failed_imports=False)
custom_hooks = [dict(type='EMAHook')]
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('road', 'car', 'sky')),
        pipeline=train_pipeline))
