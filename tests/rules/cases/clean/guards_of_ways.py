# A sample takes one of the ways; in each the guard follows its labels.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='RandomChoice',
                transforms=[
                    [
                        dict(type='LoadAnnotations'),
                        dict(type='AssertLabelBounds', num_classes=2),
                        dict(type='RandomFlip', prob=0.5)],
                    [
                        dict(type='LoadAnnotations'),
                        dict(type='RemapLabels', mapping={7: 0, 8: 1}),
                        dict(type='AssertLabelBounds', num_classes=2)]]),
            dict(type='PackSegInputs')]))
