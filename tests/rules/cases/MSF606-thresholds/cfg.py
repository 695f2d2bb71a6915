# A threshold too many, and one that stayed in the head from a sigmoid channel of two classes.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder', threshold=[0.5, 0.4, 1.0],
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3, threshold=0.3,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
