"""The manifests in deploy/kubernetes fit the published schemas of Kubernetes and of KEDA, which refuse unknown fields.

`kubernetes-validate` ships the schemas of Kubernetes. It has none for KEDA's ScaledObject: `keda_scaledobject.json` is
derived from KEDA's definition of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

Object = dict[str, Any]
OLDEST, NEWEST = "1.25", "1.37"


@pytest.fixture(scope="module")
def objects(project: Path) -> list[Object]:
    """The objects that kustomize builds: those of the manifests, and those that it generates from files.

    `kustomize build` gives the same ones, with a hash of their content after the generated names.
    """
    folder = project / "deploy" / "kubernetes"
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert plan.keys() == {
        *("apiVersion", "kind", "namespace", "resources", "configMapGenerator", "secretGenerator", "images")
    }
    built = [each for name in plan["resources"] for each in yaml.safe_load_all((folder / name).read_text())]
    for kind, entries in (("ConfigMap", plan["configMapGenerator"]), ("Secret", plan["secretGenerator"])):
        for entry in entries:
            assert entry.keys() == {"name", "files"}
            content = {Path(file).name: base64.b64encode(b"content").decode() for file in entry["files"]}
            built.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": entry["name"]}, "data": content})
    for each in built:
        each["metadata"]["namespace"] = plan["namespace"]
    return built


@pytest.fixture(scope="module")
def scaled_object() -> jsonschema_rs.Draft202012Validator:
    """The schema of the spec of KEDA's ScaledObject."""
    schema = json.loads(Path(__file__).with_name("keda_scaledobject.json").read_text())
    return jsonschema_rs.Draft202012Validator(schema)


def errors(each: Object, version: str, keda: jsonschema_rs.Draft202012Validator) -> list[str]:
    """The errors that the schema of its kind finds in an object."""
    if each["apiVersion"] == "keda.sh/v1alpha1":
        assert each["kind"] == "ScaledObject"
        assert each.keys() == {"apiVersion", "kind", "metadata", "spec"}
        spec = each["spec"]
        wrong = [error.message for error in keda.iter_errors(spec)]
        return wrong or (["minReplicaCount"] if spec["minReplicaCount"] > spec["maxReplicaCount"] else [])
    try:
        kubernetes_validate.validate(each, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_manifests_fit_the_published_schemas(
    objects: list[Object], scaled_object: jsonschema_rs.Draft202012Validator, version: str
) -> None:
    """The API server's schemas accept each object that kustomize builds."""
    refused = {(each["kind"], each["metadata"]["name"]): errors(each, version, scaled_object) for each in objects}
    assert len(refused) == len(objects)
    assert {key: problems for key, problems in refused.items() if problems} == {}


def container(each: Object) -> Object:
    """The first container of a deployment or a stateful set."""
    first: Object = each["spec"]["template"]["spec"]["containers"][0]
    return first


MISTAKES: dict[str, tuple[str, str, Callable[[Object], object]]] = {
    "a field that does not exist": ("Deployment", "web", lambda each: each["spec"].update(replica=1)),
    "a misspelled field": ("Deployment", "web", lambda each: container(each).update(readinessprobe={})),
    "a field in the wrong place": ("Deployment", "sync", lambda each: container(each).update(volumes=[])),
    "a field of a volume": (
        *("Deployment", "worker"),
        lambda each: each["spec"]["template"]["spec"]["volumes"][1]["secret"].update(name="worker"),
    ),
    "a number as a text": ("Deployment", "sync", lambda each: each["spec"].update(replicas="1")),
    "a list as an object": ("StatefulSet", "redis", lambda each: container(each).update(env={"A": "b"})),
    "an entry without its name": ("Deployment", "worker", lambda each: container(each)["env"][0].pop("name")),
    "a missing selector": ("StatefulSet", "redis", lambda each: each["spec"].pop("selector")),
    "a version that is gone": ("Deployment", "web", lambda each: each.update(apiVersion="apps/v1beta1")),
    "a port that is no number": ("Service", "web", lambda each: each["spec"]["ports"][0].update(port="http")),
    "a secret's value that is no text": ("Secret", "sync", lambda each: each["data"].update(key=1)),
    "a field that KEDA lacks": ("ScaledObject", "worker", lambda each: each["spec"].update(maxReplicas=4)),
    "a number in a trigger": (
        *("ScaledObject", "worker"),
        lambda each: each["spec"]["triggers"][0]["metadata"].update(targetValue=1),
    ),
    "a rule that KEDA lacks": (
        *("ScaledObject", "worker"),
        lambda each: each["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"].update(down={}),
    ),
    "no trigger": ("ScaledObject", "worker", lambda each: each["spec"].update(triggers=[])),
    "fewer at most than at least": ("ScaledObject", "worker", lambda each: each["spec"].update(minReplicaCount=5)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(
    objects: list[Object], scaled_object: jsonschema_rs.Draft202012Validator, mistake: str
) -> None:
    """The schemas reject typical mistakes of an edit."""
    kind, name, edit = MISTAKES[mistake]
    (sound,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    wrong = json.loads(json.dumps(sound))
    edit(wrong)
    assert wrong != sound
    assert errors(wrong, NEWEST, scaled_object)
