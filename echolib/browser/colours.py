"""Colours of the layers and curves of a view that have none of their own."""

from collections.abc import Mapping, Sequence

from ..figures.overlay import GREEN, OVERLAY_COLOURS, PINK

Colour = tuple[int, int, int]  # RGB, 0 to 255

SKY, ORANGE, YELLOW, VERMILION = OVERLAY_COLOURS[2:]
# Colours of the first layer of each role. As in all figures, a network's result is pink and an
# expert's drawing is green. A tracing is the expert's, too, but must stand out from the green
# outline below it.
ROLE_COLOURS = {
    "truth": GREEN, "model": PINK, "tracing": YELLOW, "leaflets": ORANGE, "doubt": VERMILION,
}  # fmt: skip
OTHER_COLOURS = (SKY, ORANGE, VERMILION, YELLOW)


def layer_colours(roles: Sequence[str], own: Sequence[Colour | None]) -> list[Colour]:
    """Choose a colour for each layer, given its role and its own colour or None.

    A layer without a colour gets the colour of its role if no other layer has that colour, else
    an unused colour. All tracings share one colour, because points and chords belong together.
    """
    used = {colour for colour in own if colour}
    colours = list(own)
    for number, role in enumerate(roles):
        role_colour = ROLE_COLOURS.get(role)
        if colours[number] or role_colour is None:
            continue
        if role_colour not in used or role == "tracing":
            colours[number] = role_colour
            used.add(role_colour)
    complete = []
    for number, colour in enumerate(colours):
        complete.append(colour or _unused(used, number))
        used.add(complete[number])
    return complete


def curve_colours(
    names: Sequence[str], own: Sequence[Colour | None], layers: Mapping[str, Colour]
) -> list[Colour]:
    """Choose a colour for each curve, given its name and its own colour or None.

    layers: colours of the layers by name. A curve without a colour gets that of the layer with
    its name, else an unused colour.
    """
    used = set(layers.values()) | {colour for colour in own if colour}
    colours = []
    for number, (name, colour) in enumerate(zip(names, own, strict=True)):
        colours.append(colour or layers.get(name) or _unused(used, number))
        used.add(colours[number])
    return colours


def _unused(used: set[Colour], number: int) -> Colour:
    """Return a colour that is not in `used`; if all are, the colours repeat by `number`."""
    unused = [colour for colour in OTHER_COLOURS if colour not in used]
    return unused[0] if unused else OTHER_COLOURS[number % len(OTHER_COLOURS)]
