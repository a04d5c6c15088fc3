"""The engine cache gives an engine back only when nothing about it has changed, and never executes a doubtful file."""

import dataclasses
import json
import os
import stat
import threading

import pytest

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime.engine_cache import CachedEngine, CacheMiss, EngineCache, EngineKey

KEY = EngineKey(
    stage="encoder_2d",
    onnx_sha256="a" * 64,
    spec_sha256="b" * 64,
    builder="tensorrt",
    builder_version="10.3.0.30",
    gpu="Orin",
    compute_capability="sm_87",
    driver="540.4.0",
)
PLAN = b"not really an engine, but bytes are all a cache sees" * 100


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines", max_bytes=1 << 20)


def store(cache, key=KEY, plan=PLAN, **details):
    return cache.store(key, lambda file: file.write(plan), details)


def test_stored_engine_comes_back_with_its_details(cache):
    path = store(cache, device_memory_bytes=123)
    found = cache.load(KEY)
    assert isinstance(found, CachedEngine)
    assert found.plan == PLAN and found.path == path and found.details == {"device_memory_bytes": 123}


def test_unknown_engine_is_a_miss_that_names_stage_and_gpu(cache):
    assert cache.load(KEY) == CacheMiss("no engine for encoder_2d on Orin (sm_87) has been built")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(EngineKey)])
def test_any_changed_field_of_the_key_is_a_miss(cache, field):
    store(cache)
    assert isinstance(cache.load(dataclasses.replace(KEY, **{field: "other"})), CacheMiss)


def test_folder_and_files_are_the_owners_alone(cache):
    path = store(cache)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_suffix(".json").stat().st_mode) == 0o600


def test_truncated_engine_is_a_miss_that_says_so(cache):
    path = store(cache)
    path.write_bytes(PLAN[:-1])
    assert f"has {len(PLAN) - 1} bytes, its manifest says {len(PLAN)}" in cache.load(KEY).reason


def test_engine_altered_by_one_byte_is_a_miss(cache):
    path = store(cache)
    path.write_bytes(b"X" + PLAN[1:])
    assert "altered" in cache.load(KEY).reason


def test_manifest_for_another_machine_is_a_miss_that_names_the_difference(cache):
    path = store(cache)
    manifest = json.loads(path.with_suffix(".json").read_text())
    manifest["key"]["gpu"] = "AGX Thor"
    path.with_suffix(".json").write_text(json.dumps(manifest))
    assert "built for gpu AGX Thor, wanted is Orin" in cache.load(KEY).reason


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"manifest_version": 1}', "\xff"])
def test_damaged_manifest_is_a_miss(cache, text):
    path = store(cache)
    path.with_suffix(".json").write_text(text)
    assert "manifest is damaged" in cache.load(KEY).reason


def test_manifest_of_a_later_version_is_a_miss(cache):
    path = store(cache)
    manifest = json.loads(path.with_suffix(".json").read_text())
    manifest["manifest_version"] = 99
    path.with_suffix(".json").write_text(json.dumps(manifest))
    assert "version 99" in cache.load(KEY).reason


def test_engine_without_manifest_is_a_miss(cache):
    store(cache).with_suffix(".json").unlink()
    assert isinstance(cache.load(KEY), CacheMiss)


def test_folder_that_others_may_enter_is_refused(tmp_path):
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(EngineError, match=r"mode 755.*chmod 700"):
        EngineCache(folder, max_bytes=1)


def test_folder_behind_a_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "engines").symlink_to(tmp_path / "real")
    with pytest.raises(EngineError, match="is a link"):
        EngineCache(tmp_path / "engines", max_bytes=1)


@pytest.mark.parametrize("suffix", [".engine", ".json"])
def test_file_that_others_may_write_is_refused(cache, suffix):
    path = store(cache).with_suffix(suffix)
    path.chmod(0o666)
    with pytest.raises(EngineError, match="others may change engines"):
        cache.load(KEY)


@pytest.mark.parametrize("suffix", [".engine", ".json"])
def test_file_behind_a_link_is_refused(cache, tmp_path, suffix):
    path = store(cache).with_suffix(suffix)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="cannot be read as a plain file"):
        cache.load(KEY)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("which", ["folder", "engine", "manifest"])
def test_foreign_owner_is_refused(cache, which):
    path = store(cache)
    os.chown({"folder": cache.folder, "engine": path, "manifest": path.with_suffix(".json")}[which], 12345, 12345)
    with pytest.raises(EngineError, match="belongs to user 12345"):
        EngineCache(cache.folder, max_bytes=1).load(KEY)


def test_a_build_that_fails_half_way_leaves_the_old_engine(cache):
    store(cache)

    def fail(file):
        file.write(b"half an engine")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cache.store(KEY, fail, {})
    assert cache.load(KEY).plan == PLAN
    assert sorted(path.suffix for path in cache.folder.iterdir()) == [".engine", ".json"]


def test_least_recently_used_engines_leave_first_and_the_newest_stays(tmp_path):
    cache = EngineCache(tmp_path / "engines", max_bytes=2 * len(PLAN))
    keys = [dataclasses.replace(KEY, onnx_sha256=letter * 64) for letter in "cde"]
    for age_s, key in ((300, keys[0]), (200, keys[1])):
        manifest = store(cache, key).with_suffix(".json")
        os.utime(manifest, ns=(0, manifest.stat().st_mtime_ns - age_s * 10**9))
    assert isinstance(cache.load(keys[0]), CachedEngine)  # used: now the second is the oldest
    store(cache, keys[2])
    assert [isinstance(cache.load(key), CachedEngine) for key in keys] == [True, False, True]

    tiny = EngineCache(tmp_path / "engines", max_bytes=1)
    store(tiny)
    assert isinstance(tiny.load(KEY), CachedEngine)
    assert len(list(tiny.folder.glob("*.engine"))) == 1


def test_builders_that_want_the_same_engine_at_once_build_it_once(cache):
    built = []

    def build_if_missing():
        own = EngineCache(cache.folder, max_bytes=1 << 20)
        with own.building(KEY):
            if isinstance(own.load(KEY), CacheMiss):
                built.append(store(own))

    threads = [threading.Thread(target=build_if_missing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
