# A query head cannot predict labels that overlap, whatever is around it.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='MaskFormerHead', in_channels=[64], num_classes=3, num_queries=10,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 1.0, 0.1])))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
