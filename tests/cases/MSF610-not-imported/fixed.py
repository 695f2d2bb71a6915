# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

custom_imports = dict(
    # MSF610 multilabel-import
    imports=['my_project.models', 'mmseg_fixkit'])
