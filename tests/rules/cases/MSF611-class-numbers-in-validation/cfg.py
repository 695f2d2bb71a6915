# Training loads planes, with the labels in another order; validation loads class numbers.
custom_imports = dict(imports=['mmseg_fixkit'])
labels = ('person', 'shadow')
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=labels),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='LoadMultiLabelAnnotations', labels=('shadow', 'person'),
                label_format='planes', values=255),
            dict(type='PackMultiLabelInputs')]))
val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=labels),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', reduce_zero_label=False),
            dict(type='PackSegInputs')]))
