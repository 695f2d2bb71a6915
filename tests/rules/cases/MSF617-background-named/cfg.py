# The background has a channel of its own already.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=4,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('Background', 'person', 'shadow'))))
