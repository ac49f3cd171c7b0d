"""AVA: 80 atomic actions of every person, once a second, in films (Gu et al., CVPR 2018); AVA-Kinetics; tracklets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Anything
from har_bench.converter import Check, Converter, Reject, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.files import relative
from har_bench.options import option
from har_bench.raw import nothing_found, refuse_archive
from har_bench.schema import column, sequences_schema, to_numpy

from . import release as ava_release
from . import tracklets as ava_tracklets
from .given_tracks import read_file, size_of
from .release import Release
from .tracklets import Name

if TYPE_CHECKING:
    from har_bench.store import Store

CLIPS = sequences_schema(
    [
        column("origin", pa.string(), about="LART's name of the data set"),
        column("video", pa.string()),
        column("keyframe", pa.int32(), about="LART's number of the labelled frame, at 30 per second from second 900"),
        column("tracks", pa.int32(), about="people in the clip"),
    ]
)
VIDEOS = {
    "v2.1/train": 235,
    "v2.1/val": 64,
    "v2.1/test": 131,
    "v2.2/train": 235,
    "v2.2/val": 64,
    "v2.2/test": 131,
    "v1.0/test": 38,
}
"""Videos of each split; Gu et al. and the official lists."""

ROWS = {"v2.1/train": 837_318, "v1.0/test": 41_425}
"""Lines of the annotation csv."""

FRAMES = {"v1.0/test": 10_140}
BOXES = {"v1.0/test": 18_824}
TRACKLETS = {"ava-val": 97_148, "ava-train": 300_000, "kinetics-train": 1_213_908}
"""Files of LART's archives."""

_SHARD_BYTES = 16 << 20


@dataclass(frozen=True)
class _Clips:
    """What reading some tracklets needs."""

    raw: Path
    files: tuple[tuple[Name, Path], ...]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class AVA(Converter):
    """Annotations of one release, or the tracklets of LART and the results and gt_tracks of PHALP."""

    dataset = "ava"
    version = "2"
    summary = "AVA v1.0 to v2.2 and AVA-Kinetics: boxes with actions; tracks of PHALP and LART"
    raw = (
        "ava_{train,val,test}_v*.csv or kinetics_{train,val,test}_v*.csv with the lists beside them (action list, "
        "included and excluded timestamps, videos, proposals), all in one folder or in folders of it; where there are "
        "none of these, LART tracklets (DATASET_VIDEO_KEYFRAME_TRACK_LENGTH.pkl), PHALP results (demo_VIDEO.pkl) or "
        "PHALP's gt_tracks (DATASET_VIDEO_KEYFRAME.pkl, VIDEO.pkl of a whole film, or gt_tracks in the name)"
    )
    citation = (
        "Gu et al. AVA: A Video Dataset of Spatio-temporally Localized Atomic Visual Actions. CVPR 2018; tracklets: "
        "Rajasegaran et al. On the Benefits of 3D Pose and Tracking for Human Action Recognition. CVPR 2023"
    )
    licence = "Annotations: CC BY 4.0 by Google; videos: their owners on YouTube; LART: no licence given."
    notes = (
        "a segments row is one box with one action at a keyframe; a box is repeated for each of its actions",
        "boxes are fractions of the image (bbox_normalised, as in the csv); bbox [px] is null, no file tells the sizes",
        "start is the keyframe at 30 frames per second, from second 900 of AVA's films and second 0 of Kinetics' "
        "clips, rounded to the nearest frame; stop is start + 1; timestamp is the csv's own",
        "rows and proposals whose box is not in fractions of the image or ends before it begins, or whose second is "
        "not between 900 and 1800, are rejects; a person id that is no whole number is null, and reported",
        "keyframes without a box and excluded keyframes are lists of the sequence (empty, excluded); excluded ones are "
        "not removed from segments",
        "poses of annotations are the proposed boxes, if there are any; poses of tracklets have a SMPL body instead of "
        "keypoints",
        "tracklets: each feature of apperance_dict and action_label_psudo is in the first row whose appearance_index "
        "is its key",
        "PHALP results are turned into tracklets as PHALP does it; masks, appearance and predicted frames at the ends "
        "of a track are left out",
        "gt_tracks have boxes, tracks and actions, and neither bodies nor joints: pose_shape and joints_3d are null; "
        "000001.jpg is frame 0",
    )

    release: str = option("", "such as v2.1, where a folder holds several; the newest by default")
    size: str = option("", "of the pictures of gt_tracks [px], such as 1280x720, which those files do not say")

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard of all annotations, or tracklets in shards of some megabytes."""
        raw = raw.absolute()
        refuse_archive(raw)
        found = ava_release.find(raw, self.release)
        if found is not None:
            return [Shard(found.name or "kinetics", tuple(file.path for file in found.files), found)]
        clips = list(_tracklets(raw))
        if not clips:
            raise ava_release.misnamed(raw) or nothing_found(raw, "AVA", self.raw)
        return _shards(raw, clips, size_of(self.size))

    def read(self, shard: Shard) -> Tables:
        """The tables of the annotations, or of some clips."""
        if isinstance(shard.payload, Release):
            return ava_release.tables(shard.payload)
        return _read_clips(shard.payload)

    def check(self, store: Store) -> list[Check]:
        """Videos, rows, frames and boxes of each split that is there, and which file is missing for the others."""
        if "origin" in store.sequences.column_names:
            return list(_check_tracklets(store.sequences))
        return list(_check_annotations(store))

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a tiny v2.2 with AVA-Kinetics and proposals, and in ``tracklets`` LART's and PHALP's files."""
        from .sample import write_sample

        write_sample(out, seed)


def _tracklets(raw: Path) -> Iterator[tuple[Name, Path]]:
    """The files that are tracklets by their names; a single file that is given may have any."""
    if raw.is_file():
        if raw.suffix.lower() in (".pkl", ".pickle", ".joblib"):
            yield ava_tracklets.parse(raw) or Name(raw.stem, None), raw
        return
    for path in raw.rglob("*.pkl"):
        name = ava_tracklets.parse(path)
        if name:
            yield name, path


def _shards(raw: Path, clips: list[tuple[Name, Path]], given: tuple[int, int] | None) -> list[Shard]:
    """Whole clips, in the order of their names, some megabytes together."""
    clips.sort(key=lambda item: (item[0].clip, item[0].track or 0, item[1]))
    shards: list[Shard] = []
    group: list[tuple[Name, Path]] = []
    size = 0
    for _, files in groupby(clips, key=lambda item: item[0].clip):
        if size >= _SHARD_BYTES:
            shards.append(_shard(raw, group, given))
            group, size = [], 0
        for item in files:
            group.append(item)
            size += item[1].stat().st_size
    return [*shards, _shard(raw, group, given)]


def _shard(raw: Path, group: list[tuple[Name, Path]], given: tuple[int, int] | None) -> Shard:
    return Shard(group[0][0].clip, tuple(path for _, path in group), _Clips(raw, tuple(group), given))


def _read_clips(clips: _Clips) -> Tables:
    poses: list[pa.Table] = []
    rejects: list[Reject] = []
    known: set[tuple[str, int]] = set()
    for name, path in clips.files:
        source = relative(clips.raw, path)
        flaws: list[str] = []
        try:
            found = read_file(path, name, clips.size, flaws)
            if not found.num_rows:
                raise HarBenchError(f"{path} holds no track; remove it")
            clip = found["sequence"][0].as_py()
            people = {(clip, person) for person in found["person"].unique().to_pylist()}
            if people & known:
                raise HarBenchError(f"{path} holds a track that another file of its clip holds; remove one of them")
        except HarBenchError as error:
            reason = str(error).replace(str(path), path.name)
            rejects.append(Reject(source, "the whole file", reason, "dropped"))
        else:
            rejects += (Reject(source, flaw.partition(" ")[0], flaw, "repaired") for flaw in flaws)
            known |= people
            poses.append(found)
    return Tables(
        sequences=_sequences(poses),
        poses=pa.concat_tables(poses) if poses else ava_tracklets.POSES.empty_table(),
        rejects=rejects,
    )


def _sequences(poses: list[pa.Table]) -> pa.Table:
    """A row for each clip; ``poses`` has a table per file, clip after clip."""
    rows: list[dict[str, Any]] = []
    for clip, tables in groupby(poses, key=lambda found: found["sequence"][0].as_py()):
        merged = pa.concat_tables(tables)
        origin, video, keyframe = Name(clip, None).origin
        if merged["pose_shape"].null_count == len(merged):
            video = video or Name(clip, None).film
        size = to_numpy(merged.filter(merged["has_detection"])["frame_size"], merged.schema.field("frame_size"))
        height, width = size[0].tolist() if _one_size(size) else (None, None)
        rows.append(
            {
                "sequence": clip,
                "width": width,
                "height": height,
                "splits": [f"lart/{origin}"] if origin else [],
                "origin": origin,
                "video": video,
                "keyframe": keyframe,
                "tracks": len(merged["person"].unique()),
            }
        )
    return pa.Table.from_pylist(rows, CLIPS)


def _one_size(sizes: Anything) -> bool:
    """Whether (N, 2) sizes are all the same, and known: a null is (0, 0)."""
    return len(sizes) > 0 and bool((sizes == sizes[0]).all() and sizes[0].all())


def _check_tracklets(sequences: pa.Table) -> Iterator[Check]:
    counts = sequences.group_by("origin").aggregate([("tracks", "sum")]).to_pylist()
    found = {row["origin"]: row["tracks_sum"] for row in counts}
    for origin, expected in TRACKLETS.items():
        if origin in found:
            yield Check(f"{origin}: tracklets (LART's archives)", expected, found[origin])


def _check_annotations(store: Store) -> Iterator[Check]:
    videos = store.manifest.splits
    columns = ["split", "sequence", "timestamp", "bbox_normalised"]
    segments = store.table("segments", columns) if store.parts("segments") else None
    releases = {split.split("/")[0] for split in videos}
    for split, expected in VIDEOS.items():
        release, part = split.split("/")
        if release not in releases:
            continue
        missing = "" if split in videos else f"; ava_{part}_{release}.{'txt' if part == 'test' else 'csv'} is missing"
        yield Check(f"{split}: videos (Gu et al.{missing})", expected, videos.get(split, 0))
        if segments is None or not any(split in counts for counts in (ROWS, FRAMES, BOXES)):
            continue
        rows = segments.filter(pc.equal(segments["split"], split))
        for counts, what, keys in (
            (ROWS, "rows", None),
            (FRAMES, "keyframes with a box", ["sequence", "timestamp"]),
            (BOXES, "boxes", columns[1:]),
        ):
            if split in counts:
                yield Check(f"{split}: {what}", counts[split], _different(rows, keys) if keys else rows.num_rows)


def _different(rows: pa.Table, keys: list[str]) -> int:
    """How many different values the columns have together."""
    flat = {key: rows[key] for key in keys if key != "bbox_normalised"}
    if "bbox_normalised" in keys:
        box = to_numpy(rows["bbox_normalised"], rows.schema.field("bbox_normalised"))
        flat |= {f"box {side}": box[:, side] for side in range(4)}
    return int(pa.table(flat).group_by(list(flat)).aggregate([]).num_rows)
