# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF207 guards-missing
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# MSF207 guards-missing; MSF303 ignore-index-mismatch
train_pipeline = [
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=3, ignore_index=100),
    dict(type='RandomCrop', crop_size=(64, 64), ignore_index=100),
    dict(type='PackSegInputs')
]

model = dict(
    data_preprocessor=dict(
        # MSF303 ignore-index-mismatch: was 255
        seg_pad_val=100),
    decode_head=dict(
        # MSF303 ignore-index-mismatch
        ignore_index=100))

train_dataloader = dict(
    dataset=dict(
        pipeline=train_pipeline,
        # MSF303 ignore-index-mismatch
        ignore_index=100))

val_evaluator = dict(
    # MSF303 ignore-index-mismatch
    ignore_index=100)

# MSF207 guards-missing
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]
