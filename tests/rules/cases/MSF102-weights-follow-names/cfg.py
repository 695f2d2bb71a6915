# Four of Cityscapes' classes: their weights are taken along by name.
classes = ('car', 'road', 'sky', 'person')
weights = [
    0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023, 0.9539,
    0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507
]
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='DDRHead', in_channels=64, channels=16, num_classes=19,
        loss_decode=[
            dict(type='OhemCrossEntropy', thres=0.9, min_kept=100, class_weight=weights),
            dict(type='DiceLoss', loss_weight=0.4)
        ]))
train_dataloader = dict(dataset=dict(type='CityscapesDataset'))
val_dataloader = train_dataloader
