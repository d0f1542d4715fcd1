"""The manifests in deploy/kubernetes are consistent with each other and with the processes that they start.

`test_kubernetes_schemas.py` checks each object alone. These tests find mistakes that the API server accepts, such as a
secret of another process, or a probe of a page that no longer exists.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from steward.reference import settings_page

PROCESSES = {"web": "serve", "sync": "sync", "worker": "work"}
TOKENS = {
    "redis": {"users.acl"},
    "web": {"redis-url-web", "webhook-secret"},
    "sync": {"redis-url-sync", "bot-token", "webhook-secret"},
    "worker": {"redis-url-worker", "worker-token"},
}
"""The secrets of each process."""
SECRETS, BOARD = "/run/secrets/steward", "/etc/steward"


@pytest.fixture(scope="module")
def folder(project: Path) -> Path:
    """The folder of the manifests."""
    return project / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def kustomization(folder: Path) -> dict[str, Any]:
    """The content of kustomization.yaml."""
    content: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def objects(folder: Path, kustomization: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Kind and name → the object of all manifests."""
    files = (yaml.safe_load_all((folder / name).read_text()) for name in kustomization["resources"])
    return {(each["kind"], each["metadata"]["name"]): each for each in chain.from_iterable(files)}


def pods(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name → the pod template of each deployment and stateful set."""
    return {name: each["spec"]["template"] for (_, name), each in objects.items() if "template" in each["spec"]}


def test_every_file_is_listed(folder: Path, kustomization: dict[str, Any]) -> None:
    """kustomization.yaml lists every manifest, and none that is missing."""
    files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml", "board.yaml"}
    assert files == set(kustomization["resources"])


def test_names_and_labels_fit(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Selectors match the pods, services use ports of their pods, and KEDA scales an existing deployment."""
    templates = pods(objects)
    assert templates.keys() == TOKENS.keys()
    for (kind, name), each in objects.items():
        if "template" in each["spec"]:
            assert each["spec"]["selector"]["matchLabels"] == templates[name]["metadata"]["labels"]
        if kind == "Service":
            assert each["spec"]["selector"] == templates[name]["metadata"]["labels"]
            ports = {port["name"] for port in templates[name]["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports
    scaled = objects["ScaledObject", "worker"]["spec"]
    assert ("Deployment", scaled["scaleTargetRef"]["name"]) in objects
    assert "replicas" not in objects["Deployment", "worker"]["spec"]  # each `apply` would undo the scaling of KEDA


def test_each_process_sees_its_own_secrets_alone(
    objects: dict[tuple[str, str], dict[str, Any]], kustomization: dict[str, Any]
) -> None:
    """Every file that a process reads is mounted in its pod, and no token of another process."""
    generated = {each["name"]: {Path(file).name for file in each["files"]} for each in kustomization["secretGenerator"]}
    assert generated == TOKENS
    maps = {each["name"]: set(each["files"]) for each in kustomization["configMapGenerator"]}
    for name, template in pods(objects).items():
        spec, (container,) = template["spec"], template["spec"]["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounted = {mount["mountPath"]: volumes.get(mount["name"]) for mount in container["volumeMounts"]}
        assert mounted[SECRETS]["secret"]["secretName"] == name
        named = [str(each) for each in (*container["args"], *(entry["value"] for entry in container.get("env", [])))]
        files = {Path(value).name for value in named if value.startswith(f"{SECRETS}/")}
        assert files == TOKENS[name]
        if f"{BOARD}/board.yaml" in named:
            assert "board.yaml" in maps[mounted[BOARD]["configMap"]["name"]]


def test_settings_commands_and_images_exist(
    objects: dict[tuple[str, str], dict[str, Any]], kustomization: dict[str, Any], project: Path
) -> None:
    """Each environment variable is a setting; each command and each image exists."""
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (project / "Dockerfile").read_text(), re.MULTILINE))
    settings = set(re.findall(r"`([A-Z_]+)`", settings_page()))
    for name, command in PROCESSES.items():
        (container,) = pods(objects)[name]["spec"]["containers"]
        assert container["args"] == [command]
        assert container["image"] in {image["name"] for image in kustomization["images"]}
        assert container["image"].removeprefix("steward-") in targets
        assert {entry["name"] for entry in container["env"]} <= settings


def test_no_process_has_more_rights_than_it_needs(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    """No pod runs as root or has a cluster token; all but workers drop all capabilities and have a read-only root."""
    for name, template in pods(objects).items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        if name != "worker":
            rights = spec["containers"][0]["securityContext"]
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert rights["readOnlyRootFilesystem"] is True


def test_keda_asks_the_web_server(
    objects: dict[tuple[str, str], dict[str, Any]], kustomization: dict[str, Any]
) -> None:
    """KEDA reads `/metrics` at the address of the web service."""
    (trigger,) = objects["ScaledObject", "worker"]["spec"]["triggers"]
    port = objects["Service", "web"]["spec"]["ports"][0]["port"]
    assert trigger["metadata"]["url"] == f"http://web.{kustomization['namespace']}.svc:{port}/metrics"
