import pytest

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.model.versions import check_transformers, qwen_module


@pytest.mark.parametrize("version", ["4.49.0", "4.51.3", "4.57.1", "5.0.0", "5.3.0", "5.5.4", "5.23.0", "6.0", "5.6.0.dev0"])
def test_good_releases_pass(version):
    check_transformers(version)


@pytest.mark.parametrize("version", ["5.4.0", "5.4.1", "5.5.0", "5.5.3"])
def test_releases_with_wrong_positions_are_refused_by_name(version):
    with pytest.raises(DependencyError, match=f"transformers {version} computes wrong positions for Qwen2.5-VL"):
        check_transformers(version)


@pytest.mark.parametrize("version", ["4.48.3", "4.30", "3.0.2"])
def test_releases_without_the_model_are_refused(version):
    with pytest.raises(DependencyError, match=f"transformers {version} has no Qwen2.5-VL"):
        check_transformers(version)


def test_the_installed_release_is_checked(monkeypatch):
    import transformers

    monkeypatch.setattr(transformers, "__version__", "5.5.0")
    with pytest.raises(DependencyError, match="5.5.0"):
        qwen_module.__wrapped__()
