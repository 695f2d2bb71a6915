# The head of our paper.  Do not reformat!
model = dict(
    type = "EncoderDecoder",     # not ours
    decode_head=dict(
        type="FCNHead",
        num_classes=2,          # as in Cityscapes
        in_channels=64, channels=16,
    ),
    auxiliary_head=[
        {'type': 'FCNHead', 'num_classes': (2), 'in_channels': 64, "channels": 16},  # deep supervision
        # the second one
        dict(type='FCNHead',
             in_channels=64,
             channels=16,
             num_classes=2)],
)

train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car'))))


# how long
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)
