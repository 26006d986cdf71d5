"""Every table of `segment` and `function` has the columns that TABLES.md describes.

Tests of `queue`, `train`, corrections and `mitral segment` compare theirs likewise.
"""

from itertools import takewhile

import pandas as pd
import pytest
import torch

from echolib.cautions import CODES, restored
from echolib.commands.parser import main
from echolib.networks.models import UNet
from tests.makers import EchoNetFolder, save_network, write_avi
from tests.test_house import ROOT

TEXT = (ROOT / "TABLES.md").read_text(encoding="utf-8")


def described(title):
    """The first column of the table below a title of TABLES.md."""
    lines = TEXT.partition(f"\n### {title}\n")[2].splitlines()
    section = takewhile(lambda line: not line.startswith("#"), lines)
    rows = [line for line in section if line.startswith("|")]
    return [row.split("|")[1].strip() for row in rows[2:]]


def columns(path):
    return pd.read_csv(path).columns.tolist()


@pytest.fixture
def run(tmp_path):
    """A function that runs a command on data; it returns the folder with the results."""
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_network(UNet(width=2, depth=2), path, 32)

    def run(command, data, *more, code=0):
        out = tmp_path / "-".join(["out", *more])
        arguments = [command, data, "--out", out, "--weights", path, *more]
        assert main([str(argument) for argument in arguments]) == code
        return out

    return run


@pytest.fixture
def clip(tmp_path):
    write_avi(tmp_path / "clip.avi", 8, (48, 64))
    return tmp_path / "clip.avi"


def test_tables_of_segment(run, clip):
    whole, plain = run("segment", clip, "--spacing", "0.5"), run("segment", clip)
    for name in ("contours.csv", "area.csv"):
        assert columns(whole / name) == described(name)
        in_mm = [column for column in described(name) if "mm" in column]
        assert [*columns(plain / name), *in_mm] == described(name)


def test_tables_of_function_of_a_clip(run, clip):
    out = run("function", clip)
    for name in ("clips.csv", "beats.csv", "frames.csv"):
        assert columns(out / name) == described(name)
    check_codes(out / "clips.csv", "no-spacing")


def check_codes(path, *some):
    """Every warning of a table has its code, and all rows have `some`."""
    table = pd.read_csv(path)
    for _, row in table.iterrows():
        codes = {caution.code for caution in restored(row["warning_codes"], row["warnings"])}
        assert set(some) <= codes <= CODES.keys()


@pytest.mark.parametrize("readable", [True, False])
def test_tables_of_function_of_a_study(tmp_path, run, readable):
    folder = EchoNetFolder(tmp_path / "study").write()
    for video in (folder / "Videos").iterdir():
        if not readable:
            video.write_bytes(b"")
    out = run("function", folder, "--split", "all", "--videos", "0", code=0 if readable else 2)
    more = described("clips.csv, more columns")
    assert columns(out / "clips.csv") == described("clips.csv") + more
    assert columns(out / "beats.csv") == described("beats.csv")
    check_codes(out / "clips.csv", "no-spacing" if readable else "unreadable")
    assert columns(out / "frames.csv") == described("frames.csv of a study")
    names = ["scores.csv", "scores_by_range.csv", "problems.csv"]
    for name in [*names, "dice.csv"] if readable else names:
        assert columns(out / name) == described(name)
