# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF207)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# changed (MSF207, MSF303)
train_pipeline = [
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=3, ignore_index=100),
    dict(type='RandomCrop', crop_size=(64, 64), ignore_index=100),
    dict(type='PackSegInputs')
]

model = dict(
    data_preprocessor=dict(
        # was 255 (MSF303)
        seg_pad_val=100),
    decode_head=dict(
        # added (MSF303)
        ignore_index=100))

train_dataloader = dict(
    dataset=dict(
        pipeline=train_pipeline,
        # added (MSF303)
        ignore_index=100))

val_evaluator = dict(
    # added (MSF303)
    ignore_index=100)

# added (MSF207)
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]
