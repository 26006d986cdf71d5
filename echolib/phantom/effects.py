"""The effects that make up a phantom, by name; each can be switched off to measure its value."""

from collections.abc import Iterable

EFFECTS = {
    # the heart
    "pathology": "dilated, hypertrophic and foreshortened hearts, and walls that do not move",
    "papillary muscles": "papillary muscles and chordae in the cavity",
    "trabeculae": "the rough inner layer of the wall, and small echoes along it",
    "valves": "mitral and tricuspid leaflets",
    "outflow tract": "the aortic root beside the septum, as in a five-chamber view",
    "pericardium": "bright lines outside the walls and behind the atria",
    "stray echoes": "echoes of tissue that is not part of the heart",
    # the ultrasound
    "speckle": "interference of scatterers too small to be resolved",
    "compounding": "speckle that the scanner averages away, by looking from several angles",
    "point spread": "blur along and across the beam, wider with depth",
    "texture": "patches and fibres in the tissue",
    "specular echoes": "stronger echoes of surfaces that face the probe",
    "side lobes": "strong echoes that spill to the side",
    "near-field clutter": "the chest wall under the probe, and haze that does not move",
    "reverberation": "bands across the sector, from sound that travelled back and forth twice",
    "deep haze": "a veil over part of the sector",
    "thermal noise": "receiver noise that rises with depth",
    "attenuation": "change of brightness with depth that depth compensation leaves",
    "weak edges": "weaker echoes at the sector's edges",
    "uneven gain": "smooth differences of gain, and steps of gain in depth",
    "dropout": "one side of the sector that is hardly visible",
    "shadows": "beams that ribs and lung block",
    # the screen
    "persistence": "a share of the previous frame that stays visible",
    "scanner marks": "ruler and dots outside the sector",
    "sector shapes": "sectors of many scanners, not only EchoNet-Dynamic's",
    # the expert
    "expert's inset": "the label: outline inside bright edges, above their ends, septum as seen",
}


def check_effects(without: Iterable[str]) -> frozenset[str]:
    """Return the names of effects to switch off as a set; raise ValueError for unknown names."""
    without = frozenset([without] if isinstance(without, str) else without)
    if unknown := sorted(without - EFFECTS.keys()):
        raise ValueError(f"Unknown effects {unknown}: expected names from {sorted(EFFECTS)}.")
    return without
