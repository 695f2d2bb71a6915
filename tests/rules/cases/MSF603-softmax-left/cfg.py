# Every kind of loss on class numbers, and a head that writes none.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', class_weight=[1.0, 0.5, 2.0]),
            dict(type='DiceLoss', loss_weight=3.0),
            dict(type='LovaszLoss', reduction='none', loss_name='loss_lov'),
            dict(type='OneChannelLoss', loss=dict(type='TverskyLoss', loss_weight=0.3)),
            dict(type='HuasdorffDisstanceLoss')]),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=3),
        dict(
            type='STDCHead', in_channels=32, channels=16, num_classes=2,
            loss_decode=[dict(type='CrossEntropyLoss', use_sigmoid=True), dict(type='DiceLoss')])])
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
