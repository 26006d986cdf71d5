"""Settings: where figures go, and where networks compute."""

import subprocess

import pytest
import torch

from echolib import config


def test_figures_go_where_git_does_not_look_unless_told(tmp_path, monkeypatch):
    """A figure of a notebook may show an own clip: only `make refresh` writes into figures/."""
    monkeypatch.delenv("ECHOLIB_FIGURES")
    folder = config.figures_folder()
    assert folder == config.project_root() / "build" / "figures"
    command = ["git", "-c", f"safe.directory={config.project_root()}", "check-ignore", str(folder)]
    done = subprocess.run(command, cwd=config.project_root(), capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("this is not a git checkout")
    assert done.stdout.strip() == str(folder)
    monkeypatch.setenv("ECHOLIB_FIGURES", str(tmp_path))
    assert config.figures_folder() == tmp_path


def test_the_device_is_that_of_the_setting(monkeypatch):
    monkeypatch.setenv("ECHOLIB_DEVICE", "cpu")
    assert config.device().type == "cpu"
    monkeypatch.setenv("ECHOLIB_DEVICE", "")
    assert config.device().type in ("cpu", "cuda")


def test_an_empty_setting_counts_as_none(monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", "")
    monkeypatch.setenv("ECHOLIB_FIGURES", "")
    assert config.data_folder() == config.project_root() / "data"
    assert config.figures_folder() == config.project_root() / "build" / "figures"


def test_a_precision_that_is_none_is_refused(monkeypatch):
    cpu = torch.device("cpu")
    for name in ("fp16", "FP32", "bf16"):
        monkeypatch.setenv("ECHOLIB_PRECISION", name)
        with pytest.raises(ValueError, match=f"ECHOLIB_PRECISION: expected fp32.*'{name}'"):
            config.bf16_pays(cpu)
    monkeypatch.setenv("ECHOLIB_PRECISION", "")
    assert config.bf16_pays(cpu) in (True, False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "unknown"), ("mps", "unknown"), ("xpu", "unknown"), ("meta", "unknown"),
        ("cpu:1", "unknown"), ("cuda:99", "not there"),
    ],
)  # fmt: skip
def test_a_device_that_is_none_is_refused(monkeypatch, name, message):
    monkeypatch.setenv("ECHOLIB_DEVICE", name)
    with pytest.raises(ValueError, match=f"{name}.* is {message}.*ECHOLIB_DEVICE"):
        config.device()
