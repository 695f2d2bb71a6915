# Weights of the old labels, the background's first, follow the new ones by name.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=4,
        loss_decode=dict(
            type='MultiLabelLoss', class_weight=[0.5, 1.0, 2.0, 3.0], pos_weight=[2.0, 4.0, 8.0])))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow', 'glass'))))
