"""Commands whose work is spread: the same bytes whoever did it, and nothing of a failed run."""

import re
from pathlib import Path

import pytest
import torch

from echolib.commands.parser import build_parser, main
from echolib.data import LooseClips
from echolib.networks.models import LandmarkUNet, UNet
from echolib.ventricle.networks import load_networks
from echolib.ventricle.study import measure_study
from tests.cluster import ROOT, Cluster
from tests.makers import EchoNetFolder, save_network

DATE = re.compile(rb"\d{4}-\d\d-\d\d( \d\d:\d\d)?")  # when a report was written
SIZE = 32


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A study of four clips, and networks that nobody trained."""
    folder = tmp_path_factory.mktemp("inputs")
    EchoNetFolder(folder / "study", clips=4, frames=10).write()
    torch.manual_seed(0)
    save_network(UNet(width=2, depth=2), folder / "masks.safetensors", SIZE)
    save_network(LandmarkUNet(width=2, depth=2), folder / "landmarks.safetensors", SIZE)
    return folder


WEIGHTS = "{in}/masks.safetensors {in}/landmarks.safetensors"
COMMANDS = {
    "phantom": "phantom --clips 3 --seed 3",
    "phantom mitral": "phantom --mitral 0.01 --seed 3",
    "pack": "pack {in}/study --size 32",
    "segment": "segment {in}/study/Videos --weights {in}/masks.safetensors",
    "mitral segment": "mitral segment {in}/study/Videos --weights {in}/masks.safetensors",
    "function": f"function {{in}}/study --split all --videos 1 --weights {WEIGHTS}",
    "robustness": "robustness {in}/study --split all --severities 3 --corruptions gain speckle "
    f"--weights {WEIGHTS}",
}
each_command = pytest.mark.parametrize("command", COMMANDS)


def run(command: str, inputs: Path, out: Path, *how: str) -> int:
    words = [word.replace("{in}", str(inputs)) for word in COMMANDS[command].split()]
    return main([*words, "--out", str(out), *how])


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of all files by their name, dates and the name of the folder left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    name = str(folder).encode()
    return {
        path.relative_to(folder).as_posix(): DATE.sub(b"", path.read_bytes().replace(name, b""))
        for path in files
    }


@each_command
def test_bytes_do_not_depend_on_who_did_the_work(command, cluster, inputs, tmp_path, capfd):
    ways = {"one": ["--workers", "1"], "two": ["--workers", "2"]}
    ways["cluster"] = ["--scheduler", cluster.address]
    said = {}
    for name, how in ways.items():
        assert run(command, inputs, tmp_path / name, *how) == 0
        said[name] = capfd.readouterr().out.replace(str(tmp_path / name), "")
    one = content(tmp_path / "one")
    assert len(one) >= 4 and said["one"]
    for name in ("two", "cluster"):
        other = content(tmp_path / name)
        assert [file for file in one | other if one.get(file) != other.get(file)] == []
        assert said[name].splitlines()[-3:] == said["one"].splitlines()[-3:]


@each_command
def test_without_a_scheduler_a_sentence_is_all(command, inputs, tmp_path, capsys):
    assert run(command, inputs, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:1") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        f"echolib {command.split()[0]}: No Dask scheduler answers at 'tcp://127.0.0.1:1'."
    )
    found = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert found <= {"identity.json", "study.json"}
    assert run(command, inputs, tmp_path / "out") == 0  # the same command goes on


def test_workers_that_cannot_see_the_data_leave_no_results(cluster, inputs, tmp_path):
    data = LooseClips(inputs / "study" / "Videos")
    data.folder = tmp_path / "elsewhere"  # as if it were mounted here only
    networks = load_networks((str(inputs / "masks.safetensors"),), None)
    with pytest.raises(ValueError, match=rf"The worker tcp\S+ .* cannot see {data.folder}\."):
        measure_study(data, networks, tmp_path / "out", "all", scheduler=cluster.address)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"identity.json"}


def test_workers_are_one_or_more_and_here_or_on_a_cluster(inputs, tmp_path, capsys):
    assert run("pack", inputs, tmp_path / "out", "--workers", "0") == 2
    assert "workers must be 1 or more, not 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("pack", inputs, tmp_path / "out", "--workers", "2", "--scheduler", "tcp://a:1")
    assert "not allowed with argument --workers" in capsys.readouterr().err


def test_the_page_names_commands_that_there_are():
    text = (ROOT / "CLUSTER.md").read_text(encoding="utf-8")
    lines = re.findall(r"-m echolib (.+)", text)
    parsed = [build_parser().parse_args(line.split()) for line in lines]
    assert [one.command for one in parsed] == ["function", "train"]
    assert parsed[0].scheduler.startswith("tcp://")
