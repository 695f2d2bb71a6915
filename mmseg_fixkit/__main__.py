"""``python -m mmseg_fixkit``: the command without a script on the path."""

from mmseg_fixkit.cli import main

if __name__ == "__main__":
    main()
