"""The sanitise file, read by nbval's own parser: it hides noise and nothing else."""

import re
from pathlib import Path

import pytest
from nbval.plugin import get_sanitize_patterns

TEXT = (Path(__file__).parents[1] / "nbval_sanitise.cfg").read_text(encoding="utf-8")
PATTERNS = dict(get_sanitize_patterns(TEXT))


def sanitise(text: str) -> str:
    """Apply all patterns in order, as nbval does."""
    for regex, replacement in PATTERNS.items():
        text = re.sub(regex, replacement, text)
    return text


def test_nbval_reads_every_pair_of_the_file():
    assert len(PATTERNS) == TEXT.count("\nregex:") == TEXT.count("\nreplace:")


def test_no_replacement_is_empty():
    assert all(replacement.strip() for replacement in PATTERNS.values())


def test_every_pair_has_a_reason_above_it():
    lines = TEXT.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("regex:"):
            assert lines[number - 1].startswith("# "), line


NOISE = {
    "/tmp/ipykernel_4242/1234567.py:3: UserWarning: odd": "CELL: UserWarning: odd",
    r"C:\Temp\ipykernel_9/77.py:12: FutureWarning": "CELL: FutureWarning",
    "<echolib.models.UNet object at 0x7f3ac01b2d50>": "<echolib.models.UNet object at ADDRESS>",
    "Packing:  40%|████      | 4/10 [00:01<00:02,  2.4clip/s]": "PROGRESS",
    "  0%|          | 0/40 [00:00<?, ?it/s]": "PROGRESS",
    "before\n100%|██████████| 40/40 [00:09<00:00]\nafter": "before\nPROGRESS\nafter",
    "reading: 12it [00:01, 9.41it/s]": "PROGRESS",
    "CPU times: user 1.2 s, sys: 3 ms, total: 1.2 s": "CPU times: TIME",
    "Wall time: 812 ms": "Wall time: TIME",
    "trained in 212.4 s": "trained in TIME",
    "that took 3 minutes, in all": "that took TIME, in all",
    "52.1 images/s": "SPEED images a second",
    "trained at 52 images a second": "trained at SPEED images a second",
}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_replaced(noise):
    assert sanitise(noise) == NOISE[noise]


def test_every_pattern_has_an_example():
    for regex in PATTERNS:
        assert any(re.search(regex, noise) for noise in NOISE), regex


@pytest.mark.parametrize("marked", NOISE.values())
def test_a_sanitised_text_stays_as_it_is(marked):
    assert sanitise(marked) == marked


@pytest.mark.parametrize(
    "result",
    [
        "Dice 0.932 (95 % CI 0.921 to 0.941)",
        "EF 55.7 %, 40 clips of 50 fps, 112 x 112 px",
        "ES at 0.34 s, beat of 0.84 s",
        "| 12 | 7 % | lost |",
        "image: 0x80 grey",
        "torch.Size([16, 1, 112, 112])",
    ],
)
def test_results_are_still_compared(result):
    assert sanitise(result) == result
