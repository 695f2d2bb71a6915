# Two of the classes of Cityscapes, as labels; and ADE20K, whose files reduce label 0.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='CityscapesDataset', metainfo=dict(classes=('person', 'car'))))
val_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset', metainfo=dict(classes=('person', 'car')), reduce_zero_label=True))
