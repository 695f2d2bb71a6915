# The loss is a softmax, by its argument in the one head and by default in the other.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, class_weight=[0.5, 2.0])),
    auxiliary_head=dict(
        type='FCNHead', in_channels=32, channels=16, num_classes=2, out_channels=1, threshold=0.5))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
