"""The settings of Spaces, through the unmodified client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, SpaceHardware, Volume
from huggingface_hub.errors import BadRequestError, BucketNotFoundError, HfHubHTTPError, RepositoryNotFoundError

from localhub.testing import HubWorld, LocalHub

WORLD = (
    HubWorld({"spaceHosts": {"lab/App": "http://127.0.0.1:7999"}})
    .user("ada")
    .user("eve")
    .user("reader", role="read")
    .org("lab", {"ada": "write", "reader": "read"}, plan="team")
    .repo("space", "ada/page", sdk="static", secrets={"OLD": "x"})
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub with the accounts and Spaces of WORLD."""
    with LocalHub(tmp_path, WORLD) as running:
        yield running


def test_secrets_and_variables_are_set_listed_and_deleted(hub: LocalHub) -> None:
    """The API lists secrets and variables, but shows no value of a secret; the process of the Space gets both."""
    api = HfApi(hub.url, token="hf_ada")
    start = {"space_secrets": [{"key": "TOKEN", "value": "hf_x"}], "space_variables": [{"key": "MODE", "value": "a"}]}
    api.create_repo("lab/app", repo_type="space", space_sdk="docker", **start)  # type: ignore[arg-type]
    api.add_space_secret("lab/app", "SECOND", "hidden", description="Why")
    assert api.add_space_variable("lab/app", "MODE", "b")["MODE"].value == "b"
    secrets = api.get_space_secrets("lab/app")
    assert {key: secret.description for key, secret in secrets.items()} == {"SECOND": "Why", "TOKEN": None}
    assert secrets["TOKEN"].updated_at is not None
    answers = [httpx.get(f"{hub.url}/api/spaces/lab/app{path}", headers={"Authorization": "Bearer hf_ada"}).text
               for path in ("", "/secrets", "/variables", "/runtime")]  # fmt: skip
    assert not any(value in text for value in ("hf_x", "hidden") for text in answers)
    repo = hub.state.repos.get("space", "lab/app")
    assert repo is not None
    environment = hub.state.spaces.environment(repo)
    assert environment["TOKEN"] == "hf_x" and environment["SECOND"] == "hidden" and environment["MODE"] == "b"
    assert environment["SPACE_HOST"] == "127.0.0.1:7999" and api.space_info("lab/app").host == "http://127.0.0.1:7999"
    api.delete_space_secret("lab/app", "SECOND")
    assert api.delete_space_variable("lab/app", "MODE") == {}
    assert [*api.get_space_secrets("lab/app")] == ["TOKEN"]
    with pytest.raises(HfHubHTTPError):
        api.delete_space_secret("lab/app", "SECOND")
    api.delete_repo("lab/app", repo_type="space")
    api.create_repo("lab/app", repo_type="space", space_sdk="docker")
    assert api.get_space_secrets("lab/app") == {}


def test_a_key_that_is_secret_and_variable_is_an_error_of_the_space(hub: LocalHub) -> None:
    """The Hub accepts a key that is both secret and variable, and the Space goes to CONFIG_ERROR."""
    api = HfApi(hub.url, token="hf_ada")
    api.create_repo("ada/app", repo_type="space", space_sdk="docker")
    api.add_space_secret("ada/app", "KEY", "1")
    assert api.get_space_runtime("ada/app").stage == "RUNNING"
    api.add_space_variable("ada/app", "KEY", "2")
    assert api.get_space_runtime("ada/app").stage == "CONFIG_ERROR"
    with pytest.raises(BadRequestError):
        api.add_space_variable("ada/app", "no-name", "2")


def test_hardware_storage_sleep_and_pause_follow_the_calls(hub: LocalHub) -> None:
    """The runtime shows the requested settings; those that cost money need an owner who can pay."""
    api = HfApi(hub.url, token="hf_ada")
    assert {"cpu-basic", "t4-small"} <= {machine.name for machine in api.list_spaces_hardware()}
    api.create_repo("lab/app", repo_type="space", space_sdk="docker", space_hardware=SpaceHardware.CPU_UPGRADE)
    runtime = api.request_space_hardware("lab/app", SpaceHardware.T4_SMALL, sleep_time=600)
    assert (runtime.hardware, runtime.requested_hardware, runtime.sleep_time) == ("t4-small", "t4-small", 600)
    assert api.set_space_sleep_time("lab/app", -1).sleep_time == -1
    assert api.pause_space("lab/app").stage == "PAUSED"
    assert api.restart_space("lab/app").stage == "RUNNING"
    assert api.restart_space("lab/app", factory_reboot=True).stage == "RUNNING_BUILDING"

    def storage(method: str, **body: str) -> httpx.Response:
        address, headers = f"{hub.url}/api/spaces/lab/app/storage", {"Authorization": "Bearer hf_ada"}
        return httpx.request(method, address, headers=headers, json=body)

    assert storage("POST", tier="medium").json()["storage"] == "medium"
    assert storage("POST", tier="small").status_code == 400
    assert storage("DELETE").json()["storage"] is None
    volume = Volume(type="bucket", source="lab/data", mount_path="/data")
    with pytest.raises(BadRequestError, match="Bucket not found"):
        api.set_space_volumes("lab/app", [volume])
    api.create_bucket("lab/data", private=True)
    api.set_space_volumes("lab/app", [volume])
    assert api.get_space_runtime("lab/app").volumes == [volume]
    api.delete_space_volumes("lab/app")
    with pytest.raises(BadRequestError):
        api.delete_space_volumes("lab/app")
    for hardware, status in ((SpaceHardware.T4_SMALL, 402), ("abacus", 400)):
        with pytest.raises(HfHubHTTPError) as refused:
            api.create_repo("ada/poor", repo_type="space", space_sdk="docker", space_hardware=hardware)  # type: ignore[arg-type]
        assert refused.value.response.status_code == status
    assert not api.repo_exists("ada/poor", repo_type="space")


def test_only_writers_change_a_space(hub: LocalHub) -> None:
    """Users without write access cannot change a Space or see its keys; a static Space cannot pause or restart."""
    events: list[tuple[str, str]] = []
    hub.state.subscribe(lambda event: events.append((event.kind, event.repo.full_name)))
    ada, eve, reader = (HfApi(hub.url, token=f"hf_{name}") for name in ("ada", "eve", "reader"))
    ada.create_repo("lab/app", repo_type="space", space_sdk="docker", private=True)
    for refuse in (eve.get_space_secrets, eve.get_space_runtime):
        with pytest.raises(RepositoryNotFoundError):
            refuse("lab/app")
    assert reader.get_space_runtime("lab/app").stage == "RUNNING"
    with pytest.raises(HfHubHTTPError):
        reader.add_space_secret("lab/app", "KEY", "1")
    with pytest.raises(HfHubHTTPError):
        eve.get_space_secrets("ada/page")
    assert [*ada.get_space_secrets("ada/page")] == ["OLD"]
    for refuse in (ada.pause_space, ada.restart_space):
        with pytest.raises(BadRequestError):
            refuse("ada/page")
    ada.add_space_variable("ada/page", "KEY", "1")
    assert events[-1] == ("repo.config", "ada/page")


def test_buckets_are_made_read_listed_and_deleted(hub: LocalHub) -> None:
    """Buckets are created, read, listed and deleted; other users see only public ones and change none."""
    api, eve = HfApi(hub.url, token="hf_ada"), HfApi(hub.url, token="hf_eve")
    assert api.create_bucket("lab/store", private=True).bucket_id == "lab/store"
    assert api.create_bucket("mine").bucket_id == "ada/mine"
    with pytest.raises(HfHubHTTPError) as again:
        api.create_bucket("lab/Store")
    assert again.value.response.status_code == 409
    assert api.create_bucket("lab/store", exist_ok=True).bucket_id == "lab/store"
    info = api.bucket_info("lab/store")
    assert (info.id, info.private, info.size, info.total_files) == ("lab/store", True, 0, 0)
    assert [each.id for each in api.list_buckets("lab")] == ["lab/store"]
    assert [each.id for each in api.list_buckets(search="min")] == ["ada/mine"]
    assert [each.id for each in eve.list_buckets("ada")] == ["ada/mine"] and not list(eve.list_buckets("lab"))
    for refused in (lambda: eve.bucket_info("lab/store"), lambda: eve.delete_bucket("ada/mine")):
        with pytest.raises(HfHubHTTPError):
            refused()
    with pytest.raises(HfHubHTTPError, match="rights to create a bucket"):
        eve.create_bucket("lab/other")
    api.delete_bucket("lab/store")
    with pytest.raises(BucketNotFoundError):
        api.bucket_info("lab/store")
