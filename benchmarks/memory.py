"""Peak memory of reading: ten seconds of full HD, and small files that declare gigabytes.

    python -m benchmarks.memory [--root FOLDER]

Each case runs in a process of its own; its peak is that of the process, less what the imports
take. Bytes a source pixel are those of full HD, less what the same command takes for a small clip
of as many frames (networks, a batch, libraries). `--root` measures another checkout, for a
comparison. Files are made here, in a temporary folder, and are the same for every checkout.
"""

import argparse
import gzip
import io
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

RUN = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
import torch, cv2, pandas, pydicom, nibabel, matplotlib
from pathlib import Path
path = Path(sys.argv[1])
{imports}
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, said = time.perf_counter(), "read"
try:
    {call}
except BaseException as error:
    said = type(error).__name__ + ": " + str(error).splitlines()[0][:110]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((peak - base) / 2**10, time.perf_counter() - start, said)
"""
READ = ("from echolib.data import read_clip", "read_clip(path)")
SHELL = "from echolib.__main__ import main"
FRAMES, HEIGHT, WIDTH = 300, 1080, 1920


def full_hd(path: Path, scale: float = 1.0) -> None:
    """Ten seconds of H.264, a dark disk that beats in a sector. scale: of both sides."""
    import av

    height, width = round(HEIGHT * scale), round(WIDTH * scale)
    y, x = np.mgrid[:height, :width].astype(np.float32) / scale
    sector = (np.abs(x - 960) < 0.75 * (y - 40)) & (np.hypot(x - 960, y - 40) < 950)
    noise = np.random.default_rng(0).integers(20, 120, (height, width)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in range(FRAMES):
            radius = 200 + 40 * np.cos(2 * np.pi * frame / 30)
            cavity = np.hypot(x - 1060, (y - 450) / 1.5) < radius
            picture = np.where(sector, np.where(cavity, 10, noise), 0).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray")))
        container.mux(stream.encode())


def gif_bomb(path: Path) -> None:
    """One pixel for each of 900 frames, on a screen of 2000 x 2000 px."""
    frame = b"\x21\xf9\x04\x04\x04\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0\x02\x02\x44\x01\0"
    size = (2000).to_bytes(2, "little") * 2
    path.write_bytes(b"GIF89a" + size + b"\x80\0\0" + bytes(6) + 900 * frame + b"\x3b")


def dicom_bomb(path: Path) -> None:
    """3.5 GB of black, deflated."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UltrasoundMultiFrameImageStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["bomb"])
    dataset.save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: 144 + int.from_bytes(whole[140:144], "little")])  # the meta group
    tags = (
        (0x0002, "US", 1), (0x0004, "CS", b"MONOCHROME2 "), (0x0008, "IS", b"3500"),
        (0x0010, "US", 1000), (0x0011, "US", 1000), (0x0100, "US", 8), (0x0101, "US", 8),
        (0x0102, "US", 7), (0x0103, "US", 0),
    )  # fmt: skip
    data = b""
    for element, kind, value in tags:
        content = value if isinstance(value, bytes) else value.to_bytes(2, "little")
        data += b"\x28\0" + element.to_bytes(2, "little") + kind.encode()
        data += len(content).to_bytes(2, "little") + content
    data += b"\xe0\x7f\x10\0OB\0\0" + (3500 * 10**6).to_bytes(4, "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with path.open("ab") as file:
        file.write(packer.compress(data))
        for _ in range(3500):
            file.write(packer.compress(bytes(10**6)))
        file.write(packer.flush())


def pickle_bomb(path: Path) -> None:
    """4 GB of zeros in a gzipped pickle."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b"\x80\x04\x8e" + (4 * 10**9).to_bytes(8, "little"))  # one object of bytes
        for _ in range(4000):
            file.write(bytes(10**6))
        file.write(b".")


def nifti_bomb(path: Path) -> None:
    """A header of 3 x 10**9 voxels of 16 bits, and nothing behind it."""
    import nibabel

    image = nibabel.Nifti1Image(np.zeros((2, 2), np.int16), np.eye(4))
    header = image.header.copy()
    header.set_data_shape((30000, 30000, 3))
    stream = io.BytesIO()
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.write_to(stream)
    folder = path / "database_nifti" / "patient0001"
    folder.mkdir(parents=True)
    packed = gzip.compress(stream.getvalue() + bytes(4) + bytes(600_000))
    for name in ("4CH_ED", "4CH_ED_gt", "4CH_ES", "4CH_ES_gt"):
        (folder / f"patient0001_{name}.nii.gz").write_bytes(packed)


def npz_bomb(path: Path) -> None:
    """Masks of 3.6 GB, all empty."""
    from echolib.files import write_npz

    write_npz(path, [("masks", np.broadcast_to(np.zeros((), bool), (3600, 1000, 1000)))])


def weights_bomb(path: Path) -> None:
    """A network of 25 levels in the header of a file that holds a small one."""
    from echolib.networks.models import UNet, save_model

    save_model(UNet(2), path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].replace(b'\\"depth\\": 4', b'\\"depth\\": 25')
    header = header.rstrip() + b" " * (-len(header.rstrip()) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])


CASES = {
    "read 10 s of full HD": (full_hd, "a.mp4", *READ),
    "segment 10 s of full HD": (
        full_hd, "a.mp4", SHELL, "main(['segment', str(path), '--out', str(path) + '.out'])"
    ),
    "function of 10 s of full HD": (
        full_hd, "a.mp4", SHELL, "main(['function', str(path), '--out', str(path) + '.function'])"
    ),
    "GIF": (gif_bomb, "a.gif", *READ),
    "deflated DICOM": (dicom_bomb, "a.dcm", *READ),
    "gzipped pickle": (
        pickle_bomb, "train.pkl", "from echolib.data import read_mitral_pickle",
        "read_mitral_pickle(path)",
    ),
    "NIfTI": (
        nifti_bomb, "camus", "from echolib.data import Camus, labelled_frames",
        "list(labelled_frames(Camus(path), 'all'))",
    ),
    "npz": (
        npz_bomb, "masks.npz", SHELL,
        "main(['mitral', 'submit', str(path), '--out', str(path) + '.csv'])",
    ),
    "weights": (
        weights_bomb, "a.safetensors", "from echolib.networks.models import load_model",
        "load_model(path)",
    ),
}  # fmt: skip


def main() -> None:
    """Print one line per case: bytes of the file, peak, time, and what was said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(Path(__file__).resolve().parents[1]))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    arguments = parser.parse_args()
    for case in arguments.cases:
        make, name, imports, call = CASES[case]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            make(path)
            files = [file for file in path.rglob("*") if file.is_file()] or [path]
            size = sum(file.stat().st_size for file in files)
            code = RUN.format(imports=imports, call=call)
            peak, seconds, said = measure(arguments.root, path, code)
            line = f"{case:28} {size:>12,} bytes: peak {peak:6,.0f} MB, {seconds:.1f} s, {said}"
            if make is full_hd:
                small = path.with_name("small.mp4")
                full_hd(small, scale=0.1)
                extra = peak - measure(arguments.root, small, code)[0]
                line += f", {extra * 2**20 / (FRAMES * HEIGHT * WIDTH):.2f} bytes a source pixel"
            print(line, flush=True)


def measure(root: str, path: Path, code: str) -> tuple[float, float, str]:
    """Run one case in a process of its own: peak in MB, seconds, and what was said."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env={**os.environ, "PYTHONPATH": root},
        capture_output=True, text=True, cwd=root,
    )  # fmt: skip
    if done.returncode:
        return np.nan, time.perf_counter() - start, f"exit {done.returncode}"
    peak, seconds, said = done.stdout.splitlines()[-1].split(maxsplit=2)
    said = (done.stderr.splitlines() or [said])[-1][:140] if said == "read" else said
    return float(peak), float(seconds), said


if __name__ == "__main__":
    main()
