"""Grey frames from the colour frames of a file, one by one, without burned-in colour."""

import warnings

import cv2
import numpy as np

from ..errors import DataError
from ..memory import require_memory

# grey levels; a pixel is coloured if its channels differ by more, lit if it is brighter
COLOUR_SPREAD = 20
TINTED_SHARE = 0.5  # of the lit pixels: where more are coloured, the whole display is tinted
# of a display that is tinted as a whole, see `_tint`
NEUTRAL = 0.06  # difference of the channels, as share of the brightness, below which none is
LEAST_CHANNEL = 0.05  # of a tint: what is divided by less is noise
TINT_SAMPLE = 10_000  # pixels of a frame that are looked at
TINT_LEVEL = 40  # those that are brighter show a tint; darker ones are nearly grey in any tint
TINT_LEAST, TINT_SHARE = 100, 0.1  # so many of them, and so many of the lit ones, are needed
OF_ONE_TINT = 0.75  # share of them that must be nearer to the tint than to grey
RIM = np.ones((3, 3), np.uint8)
GROWTH = 16  # frames by which the array grows where more come than a file announces
AT_ONCE = 8  # frames that exist beside the grey ones while a file is decoded: RGB, and more


class GreyFrames:
    """Collects the frames of a clip as grey, in one array that takes one byte per pixel.

    An ECG trace, a Doppler box or a menu is not an echo, but its brightness would look like a
    strong one. Tissue is grey, so clearly coloured pixels become black, as the background of an
    echocardiogram is. A rim of 1 px around them becomes black too: JPEG and MPEG store colour at
    half the resolution, which leaves a bright edge without colour.

    A display can be tinted as a whole (sepia, blue, a film of a screen). Its channels then differ
    in the same ratio nearly everywhere, and by more levels the brighter a pixel is: pixels of that
    tint are tissue, and only those of another colour become black. Where most of the lit pixels are
    coloured nevertheless, colour carries no information, and the brightness of all is kept. Of both
    a warning is given.
    """

    def __init__(
        self,
        name: str,
        announced: int = 0,
        size: tuple[int, int] | None = None,
        stored: int | None = None,
    ) -> None:
        """Start without frames.

        name: of the file, for messages. announced, size: the number of frames and the (H, W) px
        that the file declares, 0 and None where unknown. stored: bytes of the compressed frames in
        the file, see `memory`. Raises DataError where what is declared does not fit the memory.
        """
        self.name, self.stored = name, stored
        self.announced = announced
        if size is not None:
            self._require(announced, size)
        self.count = 0
        self._frames: np.ndarray | None = None
        self._burned_in: dict[int, np.ndarray] = {}  # bits, of the frames that have coloured pixels
        self._coloured = self._lit = 0
        self._tinted = False

    def __len__(self) -> int:
        return self.count

    def add(self, frame: np.ndarray) -> None:
        """Add a frame: (H, W) uint8 grey, or (H, W, 3) uint8 RGB.

        Raises DataError if its size differs from that of the first frame, and if the frames
        become larger than the limit of memory.
        """
        grey = frame if frame.ndim == 2 else self._grey(frame)
        frames = self._with_room(grey.shape)
        frames[self.count] = grey
        self.count += 1

    def finish(self) -> np.ndarray:
        """(T, H, W) uint8: all frames. T is 0 if none was added."""
        frames, self._frames = self._frames, None
        if frames is None:
            return np.empty((0, 0, 0), np.uint8)
        frames.resize((self.count, *frames.shape[1:]), refcheck=False)
        all_coloured = self._coloured > TINTED_SHARE * self._lit
        if self._tinted or all_coloured:
            message = f"{self.name}: the whole display is tinted; its brightness is used."
            warnings.warn(message, stacklevel=2)
        if not all_coloured:
            size = frames.shape[1] * frames.shape[2]
            for index, bits in self._burned_in.items():
                burned_in = np.unpackbits(bits, count=size).view(bool)
                frames[index][burned_in.reshape(frames.shape[1:])] = 0
        return frames

    def _grey(self, frame: np.ndarray) -> np.ndarray:
        coloured = (_spread(frame) > COLOUR_SPREAD).astype(np.uint8)
        brightness = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if coloured.any() and (tint := _tint(frame)) is not None:
            self._tinted = True
            coloured &= _differs(frame, tint).astype(np.uint8)
        lit = brightness > COLOUR_SPREAD
        self._lit += int(np.count_nonzero(lit))
        self._coloured += int(np.count_nonzero(coloured[lit]))
        if coloured.any():
            self._burned_in[self.count] = np.packbits(cv2.dilate(coloured, RIM) > 0)
        return brightness

    def _with_room(self, size: tuple[int, ...]) -> np.ndarray:
        """The array, with room for one more frame of that size."""
        if self._frames is None:
            planned = max(1, self.announced)
            self._require(planned, size)
            self._frames = np.empty((planned, *size), np.uint8)
        if self._frames.shape[1:] != size:
            (height, width), (other_height, other_width) = self._frames.shape[1:], size
            raise DataError(
                f"{self.name}: expected frames of one size, found {width} x {height} px in the "
                f"first and {other_width} x {other_height} px in frame {self.count}. Cut the file "
                "into clips of one size each."
            )
        if self.count == len(self._frames):
            self._require(self.count + GROWTH, size)
            # in place: large arrays grow without a copy
            self._frames.resize((self.count + GROWTH, *size), refcheck=False)
        return self._frames

    def _require(self, count: int, size: tuple[int, ...]) -> None:
        """Raise DataError where so many frames of that (H, W) take more memory than the limit."""
        height, width = size
        pixels = (count + AT_ONCE) * height * width
        what = f"{self.name}: {count} frames of {width} x {height} px"
        require_memory(what, pixels, self.stored)


def _tint(frame: np.ndarray) -> np.ndarray | None:
    """The channels (3,) of a tinted display as shares of the brightness; None if it is not tinted.

    Nearly all of the brighter pixels must be of the tint rather than grey: a grey frame on a
    coloured page, or one that colour Doppler fills, is not tinted.
    """
    step = max(1, int((frame.shape[0] * frame.shape[1] / TINT_SAMPLE) ** 0.5))
    pixels = np.ascontiguousarray(frame[::step, ::step])
    brightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    bright = brightness > TINT_LEVEL
    least = max(TINT_LEAST, TINT_SHARE * np.count_nonzero(brightness > COLOUR_SPREAD))
    if np.count_nonzero(bright) < least:
        return None
    shares = pixels[bright] / brightness[bright][:, None]
    tint = np.median(shares, axis=0).clip(min=LEAST_CHANNEL)
    if np.ptp(tint) < NEUTRAL:
        return None
    from_tint, from_grey = (((shares - colour) ** 2).sum(axis=1) for colour in (tint, 1.0))
    return tint if (from_tint < from_grey).mean() > OF_ONE_TINT else None


def _differs(frame: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Whether pixels (H, W, 3) have another colour than a tint, (H, W) bool.

    The tint is divided out. Files store colour at half the resolution: beside an edge a pixel has
    half the tint of its neighbour, so colours may differ by as much more.
    """
    plain = np.arange(256)[:, None] / tint
    table = np.rint(plain.clip(max=255)).astype(np.uint8)[None]
    return _spread(cv2.LUT(frame, table)) > COLOUR_SPREAD + np.ptp(tint) * 255 / 2


def _spread(frame: np.ndarray) -> np.ndarray:
    """The largest less the smallest channel of pixels (H, W, 3) uint8, (H, W) uint8."""
    red, green, blue = cv2.split(frame)
    strongest = cv2.max(cv2.max(red, green), blue)
    return cv2.subtract(strongest, cv2.min(cv2.min(red, green), blue))
