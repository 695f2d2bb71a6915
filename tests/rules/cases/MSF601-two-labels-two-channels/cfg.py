# Two real labels, a sigmoid loss for each, and two channels: the background has none.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelCascadeEncoderDecoder', num_stages=2, threshold=0.5,
    decode_head=[
        dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=2,
            loss_decode=dict(type='MultiLabelLoss')),
        dict(
            type='OCRHead', in_channels=64, channels=16, ocr_channels=8, num_classes=2,
            loss_decode=dict(type='MultiLabelLoss'))],
    auxiliary_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3, out_channels=1,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
