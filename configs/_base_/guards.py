# The runtime guards of mmseg-fixkit, for configs written by hand:
#
#   _base_ = ['your_model.py', 'path/to/guards.py']
#
# MMEngine replaces lists, so a config with custom_imports or custom_hooks of its own has to write
# both together. AssertLabelBounds goes into the pipelines: behind LoadAnnotations, with num_classes.
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)
custom_hooks = [
    dict(type='ClassCountHook', action='raise'),
    dict(type='HeadAdaptHook'),
]
