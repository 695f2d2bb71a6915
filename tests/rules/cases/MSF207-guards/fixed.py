# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

custom_imports = dict(
    # was 'os' (MSF207)
    imports=['os', 'mmseg_fixkit'])

# changed (MSF207)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=3),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='PackSegInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# was [{'type': 'EMAHook'}] (MSF207)
custom_hooks = [
    dict(type='EMAHook'),
    dict(type='ClassCountHook'),
    dict(type='HeadAdaptHook')
]
