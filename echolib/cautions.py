"""Warnings about a measured clip: sentences that carry a stable code, for tables and programs."""

CODES = {
    "upside-down": "the clip is shown upside down and was turned for the networks",
    "mirrored": "the clip seems to be mirrored and was turned for the networks",
    "two-pictures": "the clip seems to show two pictures side by side: crop it to one of them",
    "other-view": "the clip may not show an apical four-chamber view, or is too poor",
    "no-outline": "no frame has an outline",
    "empty-masks": "the mask is empty in some frames",
    "small-masks": "the mask is too small for a ventricle in some frames",
    "cut-off-outline": "the outline touches the edge of the sector: volumes are too small",
    "outlying-volumes": "volumes far from those of the neighbouring frames are left out",
    "single-frame": "one frame only: nothing is known about motion",
    "no-frame-rate": "frames per second unknown: beats by counting frames, no heart rate",
    "low-frame-rate": "end-systole may fall between two frames: the EF comes out too low",
    "no-spacing": "spacing unknown: volumes in px³/1000, lengths in px",
    "few-outlines": "too few frames have an outline to detect a beat",
    "no-contraction": "the volume changes by no more than the outlines change by chance",
    "no-systole": "the volume only rises, or falls very little",
    "irregular-rhythm": "premature beats cannot be distinguished; all beats count",
    "extrasystole": "an extrasystole and the beat after it do not count",
    "begins-in-systole": "the first beat is measured with the end-diastole after it",
    "no-first-diastole": "the clip begins in systole: the EF of its first beat may be too low",
    "ends-in-systole": "the EF of the last beat is too low",
    "ends-at-systole": "the last end-systole is at the end of the clip: its EF may be too low",
    "jumping-axis": "the long axis jumps: the position of the apex is uncertain",
    "unusual-shortening": "the long axis shortens unusually: foreshortened, or a moving plane",
    "moving-plane": "the end-diastolic long axis differs between beats",
    "unlikely-size": "the long axis is too short or too long for an adult: check the spacing",
    "no-whole-beat": "less than one whole beat: no heart rate",
    "unlikely-heart-rate": "the frames per second are probably wrong",
    "no-beat-counts": "no beat counts: no EF",
    "one-beat": "the EF comes from one beat only",
    "differing-beats": "the EF differs between beats",
    "doubtful-outlines": "the landmarks disagree with the outline",
    "no-calibration": "these networks have no calibration: no interval of the EF",
    "unreadable": "the clip of a study cannot be read",
    "no-clip": "the study has frames only and no clip",
    "expert-frames": "measured on the ED and ES frames that the expert chose",
    "valve-no-outline": "no frame has a mask of the leaflets",
    "valve-no-annulus": "the masks are too small or too broken to show two hinges",
    "valve-few-frames": "too few frames to detect phases of the valve",
    "valve-empty-masks": "the mask of the leaflets is empty in some frames",
    "valve-joined-leaflets": "the two leaflets could not be distinguished in some frames",
    "valve-no-opening": "no frame shows two separate leaflets: the opening is unknown",
    "valve-no-motion": "the opening hardly changes: no phases",
    "valve-few-beats": "less than one whole beat of the valve",
    "valve-still-annulus": "a long pause in filling may count as a systole",
}  # fmt: skip
BETWEEN = " | "  # two warnings, or two codes, in one text


class Caution(str):
    """A sentence about what limits the numbers of a clip.

    code: one of `CODES`. A code keeps its meaning in all versions, while sentences may be worded
    anew and contain numbers.
    """

    code: str

    def __new__(cls, code: str, sentence: str) -> "Caution":
        """Raises ValueError for a code that is not in `CODES`."""
        if code not in CODES:
            raise ValueError(f"{code!r} is no code of a warning: add it to `CODES`.")
        caution = super().__new__(cls, sentence.replace(BETWEEN, " / "))
        caution.code = code
        return caution

    def __reduce__(self) -> tuple[type["Caution"], tuple[str, str]]:
        return Caution, (self.code, str(self))


def joined(cautions: list[Caution]) -> dict[str, str]:
    """The columns `warning_codes` and `warnings` of a table, in the same order; see `split`."""
    return {
        "warning_codes": BETWEEN.join(caution.code for caution in cautions),
        "warnings": BETWEEN.join(cautions),
    }


def split(text: object) -> list[str]:
    """The parts of a text of `joined`; none for NaN, which stands for "" in a table read."""
    return [part for part in text.split(BETWEEN) if part] if isinstance(text, str) else []


def restored(codes: object, sentences: object) -> list[Caution]:
    """The cautions of two columns of `joined`. Raises ValueError where they do not fit together."""
    pairs = zip(split(codes), split(sentences), strict=True)
    return [Caution(code, sentence) for code, sentence in pairs]
