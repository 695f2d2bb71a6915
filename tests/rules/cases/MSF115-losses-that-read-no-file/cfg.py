# The first loss reads files, the second does not, whatever its documentation says.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='DDRHead', in_channels=64, channels=16, num_classes=2,
        loss_decode=[
            dict(type='TverskyLoss', class_weight='weights.json'),
            dict(type='OhemCrossEntropy', class_weight='weights.json')]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
