# In training the remap comes behind the guard; in validation the labels do, where it sees nothing.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='AssertLabelBounds', num_classes=2),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RemapLabels', mapping={7: 0, 8: 1}),
            dict(type='PackSegInputs')]))
val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='AssertLabelBounds', num_classes=2),
            dict(type='LoadAnnotations'),
            dict(type='RandomChoice', transforms=[[dict(type='RemapLabels', mapping={7: 0})]]),
            dict(type='PackSegInputs')]))
test_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='AssertLabelBounds', num_classes=2),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]))
