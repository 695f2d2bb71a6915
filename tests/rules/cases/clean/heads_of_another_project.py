# What their dicts show is right: a feature width, N + 1 weights, edges, and heads without classes.
custom_imports = dict(imports=['theirs'])
model = dict(
    type='TheirSegmentor',
    decode_head=dict(
        type='TheirMaskHead',
        num_things_classes=2,
        num_stuff_classes=1,
        num_queries=50,
        out_channels=256,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 1.0, 0.1])),
    auxiliary_head=[
        dict(type='TheirAuxHead', n_classes=3, loss_decode=dict(type='TheirLoss', class_weight=[1.0, 2.0, 3.0])),
        dict(type='TheirEdgeHead', num_classes=1)],
    projection_head=dict(type='TheirProjection', out_channels=128))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
