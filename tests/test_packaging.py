"""What is released: the contents of the wheel and of the source archive, and the workflows that build them."""

import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def included(builder_module: str, builder: str) -> set[str]:
    """Paths of the files that hatchling puts into an archive, without building it."""
    module = pytest.importorskip(f"hatchling.builders.{builder_module}")
    files = getattr(module, builder)(str(ROOT)).recurse_included_files()
    return {Path(file.distribution_path).as_posix() for file in files}


@pytest.fixture(scope="module")
def wheel() -> set[str]:
    return included("wheel", "WheelBuilder")


def test_the_wheel_has_every_file_of_the_package_but_logs_of_training(wheel):
    package = ROOT / "src" / "levada"
    files = {path.relative_to(ROOT / "src").as_posix() for path in package.rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    logs = {path.relative_to(ROOT / "src").as_posix() for path in (package / "weights").rglob("log*.csv")}
    assert logs
    assert wheel == files - logs


def test_the_wheel_has_models_with_their_cards_and_traditions(wheel):
    models = {path.parent.name for path in (ROOT / "src" / "levada" / "weights").glob("*/config.json")}
    assert models >= {"base", "latin", "stems"}
    for model in models:
        assert {f"levada/weights/{model}/{name}" for name in ("README.md", "config.json", "model.safetensors")} <= wheel
    assert len([name for name in wheel if name.startswith("levada/traditions/") and name.endswith(".toml")]) > 40
    assert "levada/py.typed" in wheel


def test_the_source_archive_has_what_tests_and_documentation_need():
    archive = included("sdist", "SdistBuilder")
    assert {"README.md", "LICENSE", "docs/conf.py", "tests/conftest.py", "constraints.txt"} <= archive
    assert not [name for name in archive if "_build/" in name or (name.endswith(".csv") and "weights" in name)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_grant_no_more_than_reading(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}


def test_checks_run_on_every_version_of_python_that_is_supported():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))
    versions = workflow["jobs"]["tests"]["strategy"]["matrix"]["python"]
    named = {one.rsplit(" ", 1)[1] for one in PROJECT["classifiers"] if "Python :: 3." in one}
    assert named <= set(versions)
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_the_address_of_the_repository_stands_in_one_place():
    """In `[project.urls]` of pyproject.toml, where there is one; pages and citation have the same or none."""
    address = PROJECT.get("urls", {}).get("Repository")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.get("repository-code") == address
