"""Small honest files of models, leaderboard entries, detectors and cameras, to be damaged."""

from __future__ import annotations

import io
import json
import zipfile

import av
import h5py
import msgspec
import numpy as np
import pytest
from PIL import Image

from har_bench.converters.ava.sample import joblib_bytes
from har_bench.entries.card import Card, Kept
from har_bench.entries.record import Record
from tests.hub.damages import in_members, plainly, saved
from tests.hub.honest_files import Kind
from tests.walking_tracklets import tracklet

LABEL = "0 0.5 0.5 0.2 0.4 " + " ".join(f"0.{30 + joint} 0.{40 + joint} 0.9" for joint in range(17)) + " 0.8 1\n"
"""A line of ultralytics: class, box, COCO's joints, confidence, track."""

SEPARATIONS = "scored,version,store,a,b,p,difference,exchanges\ntoy/error,1,aa,bb,cc,0.25,-1.5,100\n"


def keras() -> bytes:
    """What ``save_weights`` of Keras writes: two layers, whose tensors lie in groups of their names."""

    def write(stream: io.BytesIO) -> None:
        with h5py.File(stream, "w") as file:
            file.attrs["layer_names"] = [b"Stem", b"td_1"]
            for layer, tensors in (("Stem", {"conv2d_1/kernel:0": (3, 3, 2, 4)}), ("td_1", {"norm_1/gamma:0": (4,)})):
                group = file.create_group(layer)
                group.attrs["weight_names"] = [name.encode() for name in tensors]
                for name, shape in tensors.items():
                    group[name] = np.ones(shape, "f4")

    return saved(write)


def lart_weights() -> bytes:
    """The few tensors that tell how large a network of LART's is."""
    real = pytest.importorskip("safetensors.numpy")
    shapes = {
        "pose_shape_encoder.0.weight": (6, 5),
        "pose_shape_encoder.2.weight": (4, 6),
        "transformer.layers.0.0.fn.to_qkv.weight": (192, 4),
        "transformer.layers.0.1.fn.net.0.weight": (8, 4),
        "action_head_ava.0.0.weight": (80, 4),
        "mask_token": (4,),
    }
    return bytes(real.save({f"encoder.{name}": np.zeros(shape, "f4") for name, shape in shapes.items()}))


def floor() -> bytes:
    """What a floor of action recognition saves."""
    skeleton = {"name": "two", "family": "toy", "about": "a stick", "joints": ["a", "b"], "parents": [-1, 0]}
    known = json.dumps({"layout": skeleton, "view": "world", "persons": 1, "classes": 2}).encode()
    arrays = {"vectors": np.zeros((2, 4), "f4"), "labels": np.arange(2), "frames": np.array(2)}
    return saved(lambda stream: np.savez(stream, **arrays, learnt=np.frombuffer(known, np.uint8)))


def picture(kind: str) -> bytes:
    pixels = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
    return saved(lambda stream: Image.fromarray(pixels).save(stream, kind))


def film() -> bytes:
    """Six frames of MPEG-4."""

    def write(stream: io.BytesIO) -> None:
        with av.open(stream, "w", format="mp4") as container:
            track = container.add_stream("mpeg4", rate=25)
            track.width, track.height, track.pix_fmt = 32, 32, "yuv420p"  # type: ignore[attr-defined]
            for number in range(6):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * number, np.uint8), format="rgb24")
                container.mux(track.encode(frame))  # type: ignore[attr-defined]
            container.mux(track.encode())  # type: ignore[attr-defined]

    return saved(write)


def boxes() -> bytes:
    return json.dumps(
        [{"image_id": 7, "category_id": 1, "bbox": [1.5, 2, 30, 40], "score": 0.5 + n / 10} for n in range(4)]
    ).encode()


def card() -> bytes:
    kept = Kept(blake3="0" * 64, url="https://example.org/p.parquet")
    return Card(name="a method", setting="seed 1", year=2026, causal=True, predictions=kept).to_toml().encode()


def record() -> bytes:
    told = {name: "aa" for name in Record.__struct_fields__ if name != "seal"}
    return msgspec.convert(told, Record).to_toml().encode()


def model_kinds() -> dict[str, Kind]:
    """Every kind of file of models and entries, by name."""
    stored = in_members(zipfile.ZIP_STORED)
    made = joblib_bytes(tracklet(52, 12, 4))
    mean = np.stack([np.zeros((1, 226)), np.ones((1, 226))])
    return {
        "keras": Kind("keras", keras(), plainly, ".h5"),
        "lart weights": Kind("lart weights", lart_weights(), plainly, ".safetensors"),
        "lart tracklet": Kind("lart tracklet", made, plainly, ".pkl"),
        "lart tracklet, checked": Kind("lart checked", made, plainly, ".pkl"),
        "lart mean and deviation": Kind("lart norm", saved(lambda stream: np.save(stream, mean)), plainly, ".npy"),
        "floor": Kind("floor", floor(), plainly, ".npz"),
        "floor, in its members": Kind("floor", floor(), stored, ".npz"),
        "boxes": Kind("boxes", boxes(), plainly, ".json"),
        "label": Kind("label", LABEL.encode() * 2, plainly, ".txt"),
        "card": Kind("card", card(), plainly, ".toml"),
        "record": Kind("record", record(), plainly, ".toml"),
        "separations": Kind("separations", SEPARATIONS.encode(), plainly, ".csv"),
        **{kind: Kind("image", picture(kind), plainly, f".{kind}") for kind in ("png", "jpeg", "webp", "bmp", "tiff")},
        "video": Kind("video", film(), plainly, ".mp4"),
    }
