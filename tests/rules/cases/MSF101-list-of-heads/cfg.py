# OCRNet: a cascade of decode heads; a child config can only replace the whole list.
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        dict(type='FCNHead', in_channels=64, channels=16, num_classes=19),
        dict(type='OCRHead', in_channels=64, channels=16, ocr_channels=8, num_classes=19)
    ])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
