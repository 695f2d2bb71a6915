norm_cfg = dict(type='BN', requires_grad=True)
num_classes = 19
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='PSPHead', in_channels=64, channels=16, num_classes=num_classes),
    auxiliary_head=dict(
        type='FCNHead', in_channels=32, channels=16, norm_cfg=norm_cfg, num_classes=num_classes))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
