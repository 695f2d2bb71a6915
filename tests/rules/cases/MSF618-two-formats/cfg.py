# Training reads planes of 0 and 255, validation a file for each label.
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
            dict(
                type='LoadMultiLabelAnnotations', labels=labels, label_format='planes',
                values=255)]))
val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=labels),
        pipeline=[dict(type='LoadMultiLabelAnnotations', labels=labels, label_format='files')]))
