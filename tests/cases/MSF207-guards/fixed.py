# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

custom_imports = dict(
    # MSF207 guards-missing: was 'os'
    imports=['os', 'mmseg_fixkit'])

# MSF207 guards-missing
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=3),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='PackSegInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# MSF207 guards-missing
custom_hooks = [
    dict(type='EMAHook'),
    dict(type='ClassCountHook'),
    dict(type='HeadAdaptHook')
]
