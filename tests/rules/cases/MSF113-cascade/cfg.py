# OCRNet is a CascadeEncoderDecoder: its list of heads has no threshold. An auxiliary head is free.
sigmoid = dict(type='CrossEntropyLoss', use_sigmoid=True)
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1,
            loss_decode=sigmoid),
        dict(
            type='OCRHead', in_channels=64, channels=16, ocr_channels=8, num_classes=2,
            out_channels=1, threshold=0.5, loss_decode=sigmoid)],
    auxiliary_head=dict(
        type='FCNHead', in_channels=32, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        loss_decode=sigmoid))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
