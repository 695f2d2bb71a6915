"""What a config says of its classes: their names, their colours, and which rules that calls for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit import FixkitError, LabelSpace, check, patch, scan
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.label_space import class_names, context_of, palette_for
from mmseg_fixkit.config.plan import diagnose
from mmseg_fixkit.core.diagnostics import finding
from mmseg_fixkit.core.labels import label_space, read_class_names
from mmseg_fixkit.core.palettes import as_hex, pack, pack_image, parse_color, unpack
from mmseg_fixkit.core.rule import LabelKind, Rule
from mmseg_fixkit.rules import all_rules

NAMES = ("road", "car", "sky")
COLORS = ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def document(**metainfo: object) -> ConfigDocument:
    dataset = {"type": "BaseSegDataset", "metainfo": metainfo}
    return ConfigDocument("cfg.py", {"train_dataloader": {"dataset": dataset}})


# --- names --------------------------------------------------------------------------------------


def test_names_stand_in_a_text_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("road\n\n car \nsky\n")
    assert read_class_names("road, car,sky") == NAMES
    assert read_class_names(file) == NAMES
    assert class_names(document(classes=str(file)).datasets[0]) == NAMES
    assert class_names(document(classes="road,car,sky,").datasets[0]) == NAMES


def test_a_long_text_is_no_file() -> None:
    names = tuple(f"class number {i} of a text that no file system takes" for i in range(99))
    found, _ = context_of(document(classes=",".join(names)))
    assert found is not None
    assert found.labels.classes == names


def test_a_file_of_names_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(b"\xff\xfe\x00road")
    with pytest.raises(FixkitError, match=r"classes\.txt cannot be read as text"):
        context_of(document(classes=str(file)))


# --- the label space that is meant --------------------------------------------------------------


def test_a_space_is_given_as_such_by_names_or_by_a_count() -> None:
    space = LabelSpace(NAMES, COLORS)
    assert label_space(space) is space
    assert label_space(list(NAMES), COLORS) == space
    assert label_space(3) == LabelSpace.of(3)
    assert all(label_space(given, multilabel=True).multilabel for given in (space, NAMES, 3))
    with pytest.raises(FixkitError, match="with a comma for one class"):
        label_space("road")


# --- colours ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metainfo", "names", "expected"),
    [
        ({"classes": NAMES, "palette": COLORS}, NAMES, COLORS),
        ({"palette": COLORS}, NAMES, COLORS),
        ({"classes": NAMES, "palette": COLORS}, NAMES[::-1], None),
        ({"classes": NAMES, "palette": COLORS}, NAMES[:2], None),
        ({"classes": NAMES}, NAMES, None),
        ({"classes": NAMES, "palette": COLORS}, (), None),
    ],
    ids=["its own", "without names", "in another order", "some", "without palette", "no names"],
)
def test_written_colours_are_for_the_names_beside_them(
    metainfo: dict[str, object], names: tuple[str, ...], expected: object
) -> None:
    assert palette_for(document(**metainfo).datasets, names) == expected


def test_a_dataset_type_has_a_colour_for_each_of_its_names() -> None:
    tree = {"train_dataloader": {"dataset": {"type": "CityscapesDataset"}}}
    datasets = ConfigDocument("cfg.py", tree).datasets
    found = palette_for(datasets, ("sky", "road"))
    assert found is not None
    assert [tuple(color) for color in found] == [(70, 130, 180), (128, 64, 128)]
    assert palette_for(datasets, ("sky", "weed")) is None


def test_patch_and_scan_have_the_same_colours(tmp_path: Path) -> None:
    config = tmp_path / "cfg.py"
    (tmp_path / "labels").mkdir()
    label = np.zeros((2, 2), np.uint8)
    Image.fromarray(label).save(tmp_path / "labels" / "a.png")
    (tmp_path / "images").mkdir()
    Image.fromarray(label).save(tmp_path / "images" / "a.png")
    config.write_text(
        "model = dict(decode_head=dict(type='FCNHead', num_classes=3, channels=8))\n"
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', img_suffix='.png',\n"
        f"    data_root={str(tmp_path)!r}, data_prefix=dict(img_path='images',\n"
        "    seg_map_path='labels'), pipeline=[dict(type='LoadAnnotations')],\n"
        f"    metainfo=dict(classes={NAMES}, palette={COLORS})))\n"
    )
    assert patch(config, NAMES).labels.palette == COLORS
    assert check(config).labels.palette == COLORS
    assert scan(config, cache=False).palette == COLORS


@pytest.mark.parametrize("text", ["128,64,3", "128 64 3", "#804003", "804003", " 128 , 64 , 3 "])
def test_a_colour_is_written_in_two_ways(text: str) -> None:
    assert parse_color(text) == (128, 64, 3)
    assert unpack(pack(parse_color(text))) == (128, 64, 3)
    assert as_hex(pack(parse_color(text))) == "#804003"


def test_no_colour_is_no_colour() -> None:
    with pytest.raises(FixkitError, match="'red' is no colour"):
        parse_color("red")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_image_of_colours_is_packed_pixel_by_pixel(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    parts = image[..., :3] if channels > 2 else image[..., [0, 0, 0]]
    expected = [[pack(pixel.tolist()) for pixel in row] for row in parts]
    assert pack_image(image).tolist() == expected


# --- which rules they call for ------------------------------------------------------------------


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize(
    ("labels", "speaks"),
    [("both", (True, True)), ("exclusive", (True, False)), ("multilabel", (False, True))],
)
def test_a_rule_speaks_of_the_label_spaces_that_it_is_for(
    labels: LabelKind, speaks: tuple[bool, bool], multilabel: bool
) -> None:
    rule = Rule(
        "MSF999", "always", lambda _: [finding(("model",), 1, "you have", 2)], labels=labels
    )
    context, _ = context_of(document(classes=NAMES))
    assert context is not None
    space = label_space(context.labels, multilabel=multilabel)
    found = diagnose(replace(context, labels=space), [rule])
    assert bool(found) == speaks[multilabel]


def test_family_6_is_for_labels_that_overlap_and_no_other_is() -> None:
    of_configs = [rule for rule in all_rules() if not rule.reported]
    assert {r.code for r in of_configs if r.labels == "multilabel"} == {
        r.code for r in of_configs if r.code.startswith("MSF6")
    }
    assert {r.labels for r in of_configs} == {"both", "exclusive", "multilabel"}


@pytest.mark.parametrize(
    ("split", "key"), [("train", "train_dataloader"), ("val", "val_dataloader")]
)
@pytest.mark.parametrize("wrong", ["metainfo=dict(classes=('a', 'a'))", "ignore_index=300"])
def test_what_no_label_space_can_be_is_said_with_the_dataset_that_says_so(
    split: str, key: str, wrong: str, tmp_path: Path
) -> None:
    own = wrong if "classes" in wrong else f"metainfo=dict(classes=('a', 'b')), {wrong}"
    path = tmp_path / "c.py"
    path.write_text(
        "model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=2))\n"
        f"{key} = dict(dataset=dict(type='BaseSegDataset', {own}))\n"
    )
    with pytest.raises(FixkitError, match=rf"^{split}_dataloader\.dataset: "):
        check(path)
