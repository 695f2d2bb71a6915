# One sampler indexes probabilities with the label, the other keeps the pixels of the highest loss.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
        loss_decode=dict(type='MultiLabelLoss')),
    auxiliary_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        sampler=dict(type='OHEMPixelSampler', min_kept=10000),
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
