# Steps that look class numbers up, or exchange and mix them.
custom_imports = dict(imports=['mmseg_fixkit'])
labels = ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=9,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=labels),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadMultiLabelAnnotations', labels=8),
            dict(type='AssertLabelBounds', num_classes=8),
            dict(type='RemapLabels', mapping={2: 1}),
            dict(type='Resize', scale=(64, 64), backend='pillow'),
            dict(type='RandomFlip', prob=0.5, swap_seg_labels=[(0, 1)]),
            dict(type='RandomFlip', prob=0.5, direction='vertical'),
            dict(type='RandomRotFlip', degree=10),
            dict(type='PackMultiLabelInputs')]))
