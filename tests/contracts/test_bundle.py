"""The format of a bundle as a contract: what is written is what is read, and nothing that is off is served."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import manifest as manifests
from serving.bundle import Bundle, open_bundle, write_bundle, write_with_policy
from serving.bundle_fields import all_columns, flatten
from serving.bundle_format import OUT_OF_STOCK, RECOMMENDABLE, RESTRICTED, BundleArrays
from serving.decisioning.policy import default_policy_text, with_values
from serving.errors import BundleError
from serving.manifest import FileEntry
from serving.numbers import Numbers
from serving.shares import Shares
from serving.strings import StringTable
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from tests.serving.tiny import tiny_contents

FILES = sorted(
    [f"arrays/{name}.npy" for name, column in all_columns().items() if column.dtype != "str"]
    + [
        f"arrays/{name}.{part}.npy"
        for name, column in all_columns().items()
        if column.dtype == "str"
        for part in ("offsets", "utf8")
    ]
    + ["models/habit.txt", "numbers.json", "policy.toml", "manifest.json"]
)


def test_another_policys_lists_are_in_force_at_once(tiny_folder: Path, tmp_path: Path) -> None:
    text = default_policy_text().replace("excluded = []", 'excluded = ["oat milk"]').replace('"wine",', '"coffee",')
    products = open_bundle(tmp_path / write_with_policy(tiny_folder, text, tmp_path)).products
    flags = dict(zip(products.id, products.flags, strict=True))
    assert not flags["milk-2"] & RECOMMENDABLE
    assert flags["coffee-1"] & RESTRICTED
    assert not flags["wine-1"] & RESTRICTED
    assert flags["gone-1"] == RECOMMENDABLE | OUT_OF_STOCK


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny bundle, to be spoilt."""
    return Path(shutil.copytree(tiny_folder, tmp_path / tiny_folder.name))


def refused(folder: Path, match: str = ".", *, verify: bool = True) -> str:
    with pytest.raises(BundleError, match=match) as caught:
        open_bundle(folder, verify=verify)
    message = str(caught.value)
    assert "\n" not in message
    assert folder.name in message
    return message


def resealed(folder: Path, change: Callable[[Path], Any]) -> Path:
    """Return the folder after a change, with a manifest that vouches for it: only the checks of values can tell."""
    change(folder)
    manifest = manifests.from_json((folder / "manifest.json").read_text())
    entries = {}
    for name in manifest.files:
        content = (folder / name).read_bytes()
        entries[name] = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    sealed = manifests.seal(manifest, manifest.sizes, entries)
    (folder / "manifest.json").write_text(manifests.to_json(sealed))
    return folder


def set_array(name: str, values: np.ndarray[Any, Any]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "arrays" / f"{name}.npy", values)


def test_everything_written_is_read_back(tiny_bundle: Bundle) -> None:
    contents = tiny_contents()
    for (name, written), (_, read) in zip(flatten(contents), flatten(tiny_bundle), strict=True):
        if isinstance(written, StringTable):
            assert list(written) == list(read), name
        elif isinstance(written, Shares):
            np.testing.assert_array_equal(written.codes, read.codes, err_msg=name)
        else:
            np.testing.assert_array_equal(written, read, err_msg=name)
    assert tiny_bundle.manifest.metrics == contents.meta.metrics
    assert tiny_bundle.manifest.as_of == contents.meta.as_of
    assert tiny_bundle.numbers.to_json() == contents.numbers.to_json()
    assert tiny_bundle.policy.shop.time_zone == "America/New_York"


def test_files_are_those_of_the_contract(tiny_folder: Path) -> None:
    assert sorted(p.relative_to(tiny_folder).as_posix() for p in tiny_folder.rglob("*") if p.is_file()) == FILES


def test_arrays_are_mapped_and_read_only(tiny_bundle: Bundle) -> None:
    assert not tiny_bundle.products.price.flags.writeable
    assert not tiny_bundle.products.price.flags.owndata


def test_size_is_that_of_all_listed_files(tiny_folder: Path, tiny_bundle: Bundle) -> None:
    sizes = [path.stat().st_size for path in tiny_folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert tiny_bundle.n_bytes == sum(sizes)


def test_the_same_contents_have_the_same_version_and_others_another(tmp_path: Path, tiny_folder: Path) -> None:
    assert write_bundle(tiny_contents(), tmp_path) == tiny_folder.name
    assert write_bundle(tiny_contents(), tmp_path) == tiny_folder.name
    assert write_bundle(tiny_contents(policy={"reward.max_value": 4.0}), tmp_path) != tiny_folder.name
    assert len(list(tmp_path.iterdir())) == 2


def test_version_is_the_day_of_as_of_and_eight_hex_digits(tiny_folder: Path) -> None:
    day, _, digest = tiny_folder.name.partition("-")
    assert day == "20180101"
    assert len(digest) == 8
    assert int(digest, 16) >= 0


def test_writing_over_a_damaged_bundle_of_the_same_version_repairs_it(folder: Path) -> None:
    (folder / "numbers.json").write_text("{}")
    assert write_bundle(tiny_contents(), folder.parent) == folder.name
    assert open_bundle(folder).manifest.version == folder.name
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_policy_makes_another_version_with_the_same_arrays(folder: Path, tmp_path: Path) -> None:
    text = with_values(default_policy_text(), {"reward.kind": "points"})
    version = write_with_policy(folder, text, tmp_path)
    other = open_bundle(tmp_path / version)
    assert version != folder.name
    assert other.policy.reward.kind == "points"
    np.testing.assert_array_equal(other.habit.p7.codes, open_bundle(folder).habit.p7.codes)


def test_one_flipped_bit_in_any_file_is_refused(folder: Path) -> None:
    for name in FILES:
        content = (folder / name).read_bytes()
        spoilt = bytearray(content)
        spoilt[len(content) // 2] ^= 0b100
        (folder / name).write_bytes(spoilt)
        refused(folder)
        (folder / name).write_bytes(content)
    open_bundle(folder)


def test_a_truncated_file_is_refused_without_hashing(folder: Path) -> None:
    for name in FILES:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) * 9 // 10])
        refused(folder, verify=False)
        (folder / name).write_bytes(content)
    open_bundle(folder, verify=False)


def test_a_missing_file_is_refused_and_named(folder: Path) -> None:
    for name in FILES:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        assert Path(name).name in refused(folder, verify=False)
        (folder / name).write_bytes(content)
    open_bundle(folder, verify=False)


def test_a_file_that_is_not_listed_is_refused(folder: Path) -> None:
    (folder / "models" / "extra.pkl").write_bytes(b"\x80\x04.")
    refused(folder, "not in the manifest: models/extra.pkl")


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"format": "other"}', "null", "\x00", "[" * 100_000])
def test_a_foreign_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    refused(folder, "manifest.json")


def test_a_manifest_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\xff\xfe{}")
    refused(folder, "UTF-8")


def test_another_schema_version_is_refused_with_the_next_step(folder: Path) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(found | {"schema_version": 0}))
    refused(folder, "schema version 0, this tercet reads 4: train again")


@pytest.mark.parametrize("key", ["as_of", "files", "sizes", "has", "version", "metrics"])
@pytest.mark.parametrize("value", [None, 7, "x", [1]])
def test_a_manifest_with_a_wrong_value_is_refused(folder: Path, key: str, value: object) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(found | {key: value}))
    refused(folder, "manifest.json")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("metrics", {"auc": float("inf")}, "wrong kind"),
        ("metrics", {"auc": float("nan")}, "wrong kind"),
        ("as_of", "9999-12-31T23:59:59+14:00", "end of the calendar"),
        ("log_until_us", float("inf"), "wrong kind"),
    ],
)
def test_a_manifest_with_a_value_that_nothing_can_be_done_with_is_refused(
    folder: Path, key: str, value: object, message: str
) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(found | {key: value}))
    refused(folder, f"manifest.json.*{message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bytes": "1\n2"}, r"can't have '1\\n2' bytes"),
        ({"bytes": -1}, "can't have -1 bytes"),
        ({"bytes": True}, "can't have True bytes"),
        ({"bytes": 1.5}, "can't have 1.5 bytes"),
        ({"sha256": 7}, "has no sha256 of 64 hex digits"),
        ({"sha256": "0" * 63 + "\n"}, "has no sha256 of 64 hex digits"),
    ],
)
def test_a_manifest_whose_file_has_no_length_or_digest_is_refused(
    folder: Path, change: dict[str, object], message: str
) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    found["files"]["numbers.json"] |= change
    (folder / "manifest.json").write_text(json.dumps(found))
    refused(folder, f"manifest.json.*numbers.json {message}")


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred"])
def test_a_manifest_with_a_name_that_no_line_can_hold_is_refused_in_a_line(folder: Path, name: str) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    for odd in (found | {name: 1}, found | {"files": {name: found["files"]["numbers.json"]}}):
        (folder / "manifest.json").write_text(json.dumps(odd))
        refused(folder, f"manifest.json.*{re.escape(repr(name))}")


def test_a_manifest_with_an_unknown_key_is_refused(folder: Path) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(found | {"surprise": 1}))
    refused(folder, "unknown keys: surprise")


def test_no_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "no manifest.json")


def test_an_array_of_objects_is_never_unpickled(folder: Path) -> None:
    def pickle_it(folder: Path) -> None:
        np.save(folder / "arrays" / "popular.product.npy", np.array([{}], dtype=object), allow_pickle=True)

    refused(resealed(folder, pickle_it), "popular.product.npy is not an array file")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': [(5,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (5,), } \n['",
        b"{'descr': '<f4', 'fortran_order':\0\0\0",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999,), }",
        b"__import__('os')",
    ],
)
def test_only_a_header_that_was_written_here_is_read(folder: Path, header: bytes) -> None:
    content = b"\x93NUMPY\x01\x00v\x00" + header.ljust(117) + b"\n" + bytes(20)
    changed = resealed(folder, lambda folder: (folder / "arrays" / "habit.p7.npy").write_bytes(content))
    refused(changed, "habit.p7.npy is not an array file of a bundle")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x04N."])
def test_a_file_that_is_no_array_is_refused(folder: Path, content: bytes) -> None:
    changed = resealed(folder, lambda folder: (folder / "arrays" / "habit.p7.npy").write_bytes(content))
    refused(changed, "habit.p7.npy is not an array file")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("habit.p7", np.zeros(3, dtype="<u2"), "habit.p7 is <u2 .3,., expected <u2"),
        ("habit.p7", np.zeros(16, dtype="<f4"), "habit.p7 is <f4"),
        ("customers.p_shop", np.zeros((6, 6), dtype="<u2"), r"expected <u2 .6, 7."),
        ("customers.n_baskets", np.full(6, 30, dtype="<i8"), "customers.n_baskets is <i8"),
        ("products.flags", np.ones(16, dtype="|u1"), "products.flags is .u1"),
        ("customers.store", np.full(6, 3, dtype="<i4"), "customers.store has a value above 2: 3"),
        ("customers.store", np.full(6, -2, dtype="<i4"), "customers.store has a value below -1: -2"),
        ("products.type", np.full(16, -1, dtype="<i4"), "products.type has a value below 0: -1"),
        ("customers.churn", np.full(6, np.nan, dtype="<f4"), "customers.churn has values that are not finite"),
        ("customers.churn", np.full(6, 1.5, dtype="<f4"), "customers.churn has a value above 1.0: 1.5"),
        ("customers.usual_price", np.full(6, np.inf, dtype="<f4"), "customers.usual_price has values that are not"),
        ("customers.hash", np.arange(6, dtype="<u8")[::-1], "customers.hash is not sorted"),
        ("habit.offsets", np.array([0, 9, 3, 3, 3, 3, 14], dtype="<i8"), "habit.offsets"),
        ("also.offsets", np.ones(17, dtype="<i8"), "also.offsets doesn't run from 0"),
        ("products.name.offsets", np.ones(17, dtype="<i8"), "products.name.offsets doesn't run from 0"),
    ],
)  # fmt: skip
def test_a_wrong_array_is_refused_though_its_hash_fits(
    folder: Path, name: str, values: np.ndarray[Any, Any], message: str
) -> None:
    refused(resealed(folder, set_array(name, values)), message)


def test_arrays_that_contradict_each_other_are_refused(folder: Path) -> None:
    bundle = open_bundle(folder)
    wrong = {
        "usual.product": bundle.usual.product[::-1].copy(),
        "habit.place": bundle.habit.place + np.uint8(9),
        "novelty.product": bundle.novelty.product[::-1].copy(),
        "stretch.place": bundle.stretch.place + np.int8(9),
        "stretch.source": bundle.stretch.source + np.uint8(9),
        **{f"{name}.p7": getattr(bundle, name).p7.codes[::-1].copy() for name in ("habit", "again", "stretch")},
        **{f"{name}.fall": getattr(bundle, name).fall[::-1].copy() for name in ("discover", "propensity")},
    }
    falls = ("habit.p7", "again.p7", "stretch.p7", "discover.fall", "propensity.fall")
    named = ("another kind", "more products than", "another kind", "more products than", "more categories than")
    messages = (*named, *(f"{each} doesn't fall" for each in falls))
    for (name, values), message in zip(wrong.items(), messages, strict=True):
        path = folder / "arrays" / f"{name}.npy"
        sound = path.read_bytes()
        refused(resealed(folder, set_array(name, values)), message)
        path.write_bytes(sound)


def test_text_that_is_not_utf8_is_refused_though_its_hash_fits(folder: Path) -> None:
    path = folder / "arrays" / "products.name.utf8.npy"
    size = len(np.load(path))
    changed = resealed(folder, set_array("products.name.utf8", np.full(size, 0xFF, dtype="u1")))
    refused(changed, "products.name.utf8 is not UTF-8")


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "nope", '{"habit_window": 1}', Numbers.plain().to_json().replace("0.0", "NaN", 1)],
)
def test_wrong_numbers_are_refused_though_their_hash_fits(folder: Path, text: str) -> None:
    refused(resealed(folder, lambda folder: (folder / "numbers.json").write_text(text)), "numbers.json")


def test_a_wrong_policy_is_refused_though_its_hash_fits(folder: Path) -> None:
    refused(resealed(folder, lambda folder: (folder / "policy.toml").write_text("[shop]\n")), "policy.toml")


def test_contents_that_break_the_format_are_not_written(tmp_path: Path) -> None:
    contents = tiny_contents()
    wrong = [
        replace(contents, popular=replace(contents.popular, product=np.array([99], dtype="<i4"))),
        replace(contents, customers=replace(contents.customers, churn=np.zeros(2, dtype="<f4"))),
        replace(contents, policy_text="[shop"),
        replace(contents, numbers=replace(contents.numbers, completion={"intercept": 0.0})),
        replace(contents, meta=replace(contents.meta, metrics={"auc": float("nan")})),
        replace(contents, meta=replace(contents.meta, metrics={"auc": object()})),
    ]
    for each in wrong:
        with pytest.raises(BundleError):
            write_bundle(each, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_save, saved = np.save, []

    def full_disk(path: Path, array: Any, **options: Any) -> None:
        saved.append(path)
        if len(saved) == 40:
            raise OSError(28, "No space left on device")
        real_save(path, array, **options)

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(BundleError, match="No space left"):
        write_bundle(tiny_contents(), tmp_path)
    assert len(saved) == 40
    assert not list(tmp_path.iterdir())


def test_who_may_read_a_bundle_is_for_the_umask_to_say(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = tmp_path / write_bundle(tiny_contents(), tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o077 for path in [folder, *folder.rglob("*")]} == {0}


def test_what_an_earlier_writer_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / f".writing-{os.getpid()}-0").mkdir()
    assert (tmp_path / write_bundle(tiny_contents(), tmp_path)).is_dir()


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="can't be written"):
        write_bundle(tiny_contents(), tmp_path / "file" / "bundles")


def test_an_empty_shop_is_a_bundle(tmp_path: Path) -> None:
    full = tiny_contents()
    empty: dict[str, Any] = {}
    by_customer = ("customers", "habit", "again", "stretch", "discover", "propensity", "recent")
    for group in (*by_customer, "response", "redeemed", "sends", "contacts"):
        kind = getattr(full, group)
        values = {}
        for name, array in vars(kind).items():
            if isinstance(array, StringTable):
                values[name] = StringTable.of([])
            elif isinstance(array, Shares):
                values[name] = Shares.of(np.zeros((0, *array.codes.shape[1:])))
            else:
                values[name] = np.zeros((int(name == "offsets"), *array.shape[1:]), dtype=array.dtype)
        empty[group] = type(kind)(**values)
    bundle = open_bundle(tmp_path / write_bundle(replace(full, **empty), tmp_path))
    assert len(bundle.customers.id) == 0


def test_every_column_of_the_format_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    documented = text[text.index("## 5. Bundle") : text.index("## 6. Engine")] + text[text.index("## 9. Offers") :]
    for name in all_columns():
        group, _, field = name.rpartition(".")
        assert field in documented, name
        assert group in documented, name
    assert BundleArrays.__doc__
