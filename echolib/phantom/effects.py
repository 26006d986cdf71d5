"""What a phantom is made of, by name: each effect can be switched off and its worth measured."""

from collections.abc import Iterable

EFFECTS = {
    # the heart
    "pathology": "dilated, thick-walled, foreshortened hearts, and walls that do not move",
    "papillary muscles": "muscles and cords in the cavity",
    "trabeculae": "the rough layer inside the wall, and small echoes along it",
    "valves": "mitral and tricuspid leaflets",
    "outflow tract": "the aortic root beside the septum, as in a five-chamber view",
    "pericardium": "bright lines outside the walls and behind the atria",
    "stray echoes": "echoes of tissue that is not the heart's",
    # the sound
    "speckle": "interference of scatterers too small to be seen",
    "point spread": "blur along and across the beam, wider with depth",
    "texture": "patches and fibres in the tissue",
    "specular echoes": "surfaces that face the probe return more",
    "side lobes": "strong echoes spill to the side",
    "near-field clutter": "the chest wall under the probe, and haze that stands still",
    "reverberation": "bands across the sector, from sound that went to and fro twice",
    "deep haze": "a veil over part of the sector",
    "thermal noise": "noise of the receiver, rising with depth",
    "attenuation": "what depth compensation leaves",
    "weak edges": "beams at the sector's edges that return less",
    "uneven gain": "smooth differences of gain, and steps of it in depth",
    "dropout": "one side of the sector that is hardly seen",
    "shadows": "beams that ribs and lung take away",
    # the screen
    "persistence": "a share of the frame before stays visible",
    "scanner marks": "ruler and dots outside the sector",
    "sector shapes": "sectors of many scanners, not only EchoNet-Dynamic's",
    # the expert
    "expert's inset": "labels inside the bright wall, not at its geometric edge",
}


def check_effects(without: Iterable[str]) -> frozenset[str]:
    """The effects to switch off, as a set; raises ValueError for a name that is none."""
    without = frozenset([without] if isinstance(without, str) else without)
    if unknown := sorted(without - EFFECTS.keys()):
        raise ValueError(f"Unknown effects {unknown}; expected some of {sorted(EFFECTS)}.")
    return without
