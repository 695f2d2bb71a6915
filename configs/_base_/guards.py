# The runtime guards of mmseg-fixkit, for configs written by hand:
#
#   _base_ = ['your_model.py', 'path/to/guards.py']
#
# MMEngine replaces lists: a config that has custom_imports or custom_hooks of its own writes both
# together. `mmseg-fix patch` does that, and puts in the fourth guard, which needs the number of
# classes and a place in the pipelines, right behind LoadAnnotations:
#
#   dict(type='AssertLabelBounds', num_classes=8)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)
custom_hooks = [
    # Before a run: heads, losses, datasets and metrics agree. After a validation: classes without
    # ground truth, or never predicted, by name. 'warn' only says so, 'fix' rebuilds class layers.
    dict(type='ClassCountHook', action='raise'),
    # A checkpoint of other classes fits: rows are kept by class name.
    dict(type='HeadAdaptHook'),
    # The first 50 iterations: nan, 0, far from chance level, layers that do not move. 'stop' ends the run.
    dict(type='LossSanityHook', iterations=50, action='warn'),
]
