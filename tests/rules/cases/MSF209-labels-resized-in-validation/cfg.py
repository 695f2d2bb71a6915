model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
metainfo = dict(classes=('weed', 'crop'))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=metainfo,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', scale=(512, 512)),
            dict(type='PackSegInputs')]))
val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=metainfo,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', scale=(512, 512)),
            dict(type='PackSegInputs')]))
# Moving the resize before a flip would be another picture: left for a person.
test_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=metainfo,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomFlip', prob=1.),
            dict(type='Resize', scale=(512, 512)),
            dict(type='PackSegInputs')]))
