"""Shapes and contraction of ventricles: known masks, and phantoms of which no frame is rendered."""

import numpy as np
import pytest

from benchmarks import shapes


def half_ellipse(length: float, half_width: float, apex: float = 20.0) -> np.ndarray:
    """Mask of the upper part of an ellipse, its base straight and 0.8 of its greatest width."""
    y, x = np.mgrid[:112, :112]
    share = (y - apex) / length
    inside = np.abs(x - 56) <= half_width * np.sqrt(np.clip(1 - (2 * share / 1.25 - 1) ** 2, 0, 1))
    return inside & (share >= 0) & (share <= 1)


def test_widths_of_an_upright_ventricle() -> None:
    found = shapes.shape(half_ellipse(60, 16))
    for level in ("0.18", "0.79"):
        share = float(level)
        expected = np.sqrt(1 - (2 * share / 1.25 - 1) ** 2)
        expected /= np.sqrt(1 - (2 * 0.49 / 1.25 - 1) ** 2)
        assert found["width", level] == pytest.approx(expected, abs=0.06)
        assert abs(found["side", level]) < 0.08
    assert abs(found["axis", "tilt of the base"]) < 0.02
    assert found["axis", "length, px"] == pytest.approx(60, abs=1.5)
    assert found["axis", "highest row"] == pytest.approx(20, abs=1)


def test_a_lateral_bulge_is_on_the_right_side() -> None:
    mask = half_ellipse(60, 16)
    rows = np.mgrid[:112, :112][0]
    mask |= np.roll(mask, 6, axis=1) & (rows > 40) & (rows < 65)
    assert shapes.shape(mask)["side", "0.49"] > 0.1


def test_contraction_by_level() -> None:
    found = shapes.systole((half_ellipse(60, 16), half_ellipse(48, 11, apex=23.0)))
    assert found["systole", "width 0.49"] == pytest.approx(11 / 16, abs=0.05)
    assert found["systole", "way of the apex"] == pytest.approx(3 / 60, abs=0.02)
    assert found["systole", "way of the base"] == pytest.approx(-9 / 60, abs=0.02)
    assert found["systole", "area lost"] == pytest.approx(1 - 11 * 48 / (16 * 60), abs=0.02)


def test_phantom_hearts_contract_and_tables_compare() -> None:
    tables = shapes.measure(shapes.phantom_hearts(3, seed=3))
    assert [len(table) for table in tables.values()] == [3, 3, 3]
    assert (tables["systole"]["systole", "area lost"] > 0).all()
    table = shapes.compare({"one": tables, "other": tables})
    assert table["one"].equals(table["other"])
    assert not table["one", "mean"].isna().any()


def test_hearts_too_small_to_have_a_shape_are_left_out() -> None:
    small = half_ellipse(8, 4)
    assert all(table.empty for table in shapes.measure([(half_ellipse(60, 16), small)]).values())
