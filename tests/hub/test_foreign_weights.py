"""Weights of others: whose a file is by its tensors' names, and every published file by its name and checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.cli.describing import describe
from har_bench.foreign.networks import SIGNS, in_words, likely
from har_bench.published import Published, of_model, recognised


@pytest.mark.parametrize(
    ("names", "project"),
    [
        (["module.temp_embed", "module.pos_embed", "module.joints_embed.weight", "module.head.bias"], "MotionBERT"),
        (["Spatial_patch_to_embedding.weight", "Spatial_pos_embed", "Temporal_pos_embed"], "PoseFormer"),
        (["Spatial_patch_to_embedding.weight", "STEblocks.0.norm1.weight", "TTEblocks.0.norm1.weight"], "MixSTE"),
        (["w1.weight", "batch_norm1.weight", "linear_stages.0.w1.weight"], "a PyTorch port of 3d-pose-baseline"),
        (["gconv_input.0.gconv.W", "gconv_layers.0.gconv1.gconv.W"], "SemGCN"),
        (["expand_conv.weight", "shrink.weight", "layers_conv.0.weight"], "VideoPose3D"),
        (["conv1.weight", "stage2.0.branches.0.0.conv1.weight", "final_layer.weight"], "HRNet"),
        (["conv1.weight", "layer1.0.conv1.weight", "deconv_layers.0.weight", "final_layer.weight"], "SimpleBaseline"),
        (["conv1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"], "a ResNet"),
    ],
)
def test_a_network_is_told_by_its_tensors_names(names: list[str], project: str) -> None:
    found = likely(names)
    assert found is not None
    assert found.startswith(project)
    assert f"it looks like {project}" in in_words({name: np.zeros((2, 3)) for name in names})


def test_a_network_that_is_not_known_is_described_without_a_guess() -> None:
    state = {
        "a.weight": np.zeros((3, 4)),
        "a.running_mean": np.zeros(3),
        "b": np.zeros(5),
        "c": np.zeros(()),
        "d": np.zeros(1),
    }
    assert likely(state) is None
    assert in_words(state) == "19 parameters in 4 tensors (a.weight, b, c, ...)"


def test_signs_are_told_apart() -> None:
    for project, signs in SIGNS.items():
        assert signs, project


def test_every_file_that_lifts_says_what_it_takes_and_gives() -> None:
    lifting = of_model("videopose3d")
    assert {file.joints for file in lifting} == {"h36m17", "coco17"}
    assert {file.target for file in lifting} == {"h36m17", "humaneva15"}
    assert [file.file for file in lifting if file.causal] == ["cpn-ft-243-dbb-causal.bin"]


def test_a_file_is_recognised_by_its_checksum_or_where_there_is_none_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights"
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    facts = {"about": "one", "licence": "MIT", "model": "x"}
    known = {
        "a": Published(name="a", file="a.bin", md5=md5, **facts),
        "b": Published(name="b", file="b.bin", **facts),
    }
    monkeypatch.setattr("har_bench.published.sources.catalogue", lambda: known)
    for name, each in {"renamed.bin": content, "a.bin": b"cut off", "b.bin": b"any", "c.bin": b"any"}.items():
        (tmp_path / name).write_bytes(each)
    assert recognised(tmp_path / "renamed.bin") == known["a"]
    assert recognised(tmp_path / "a.bin", named=True) is None
    assert recognised(tmp_path / "b.bin") is None
    assert recognised(tmp_path / "b.bin", named=True) == known["b"]
    assert recognised(tmp_path / "c.bin", named=True) is None


def test_info_tells_published_files_of_a_baseline() -> None:
    pytest.importorskip("torch")
    said = describe("videopose3d")
    for file in of_model("videopose3d"):
        assert f"published weights: {file.file}: " in said
        assert file.url in said
    assert "published weights" not in describe("mean-pose")


def test_info_tells_what_a_file_of_weights_is(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "other.pth.tar"
    torch.save({"epoch": 7, "state_dict": {"w1.weight": torch.zeros(4, 2), "linear_stages.0.b": torch.zeros(3)}}, path)
    said = describe(str(path)).splitlines()
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    assert said == [
        f"{path}: {path.stat().st_size:,} bytes, md5 {md5}",
        "model: 11 parameters in 2 tensors (w1.weight, linear_stages.0.b)",
        "epoch 7",
    ]
    torch.save({"state_dict": {"expand_conv.weight": torch.zeros(4, 2), "shrink.weight": torch.zeros(3)}}, path)
    path.rename(tmp_path / "cpn-pt-243.bin")
    said = describe(str(tmp_path / "cpn-pt-243.bin")).splitlines()
    assert said[1].startswith("published for videopose3d: cpn-pt-243.bin: 243 frames, CPN")
    assert said[2].endswith("it looks like VideoPose3D")
    cut = tmp_path / "weights_PE_MPII_cvpr18_19-09-2017.h5"
    cut.write_bytes(b"cut off")
    with pytest.raises(HarBenchError, match=r"has the md5 .* and not d6b85ba4b8a3…; fetch it from https://"):
        describe(str(cut))
