"""The chart, rendered by the library of Helm: of the right form for Kubernetes, with a configuration that a
server takes."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import DEPLOY, Server, read_yaml, setting_of, settings, version

helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
kubernetes = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is not installed"
)

CHART = DEPLOY / "helm/recant"
#: The oldest version that Chart.yaml takes, and the newest whose schemas there are.
KUBERNETES = ("1.25", kubernetes.latest_version())
#: What the operator of Prometheus defines.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
EACH = pytest.mark.parametrize("case", CASES)


def values(case: str) -> dict[str, Any]:
    """Values that the chart is tried with."""
    return read_yaml(CHART / f"ci/{case}.yaml")


def rendered(case: str) -> dict[str, dict[str, Any]]:
    """What the chart makes of them, by kind."""
    chart = helm.Chart.load(CHART)
    chart.validate_schema(values(case))
    files = chart.render(values(case), name="shop", namespace="store")
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    documents = [one for text in texts for one in yaml.safe_load_all(text) if one]
    by_kind = {document["kind"]: document for document in documents}
    assert len(by_kind) == len(documents)
    return by_kind


@EACH
def test_helm_finds_nothing_wrong(case: str) -> None:
    report = helm.lint(CHART, values(case), strict=True)
    assert report["errors"] == []


@pytest.mark.parametrize("of_kubernetes", KUBERNETES)
@EACH
def test_what_is_made_is_of_the_form_that_kubernetes_takes(case: str, of_kubernetes: str) -> None:
    for kind, document in rendered(case).items():
        if kind not in FOREIGN:
            kubernetes.validate(document, of_kubernetes, strict=True)


def test_the_least_is_a_server_and_the_most_is_all() -> None:
    least = {"ConfigMap", "Service", "ServiceAccount", "StatefulSet"}
    assert set(rendered("least")) == least
    assert set(rendered("everything")) == least | FOREIGN | {"NetworkPolicy"}
    assert set(rendered("existing")) == {"Service", "StatefulSet", "NetworkPolicy"}


@EACH
def test_the_container_has_no_more_rights_than_it_needs(case: str) -> None:
    pod = rendered(case)["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    confined = container["securityContext"]
    assert confined["readOnlyRootFilesystem"] is True
    assert confined["allowPrivilegeEscalation"] is False
    assert confined["capabilities"] == {"drop": ["ALL"]}


@EACH
def test_one_process_has_the_store(case: str) -> None:
    assert rendered(case)["StatefulSet"]["spec"]["replicas"] == 1


def variables(container: dict[str, Any]) -> dict[str, str]:
    """The environment of a container; a secret is a master key."""
    return {one["name"]: one.get("value", "5a" * 32) for one in container["env"]}


def certificate(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The variables that name the files of TLS, which are made in a folder; none where there is no TLS."""
    names = [f"RECANT__SERVER__TLS_{part}" for part in ("CERTIFICATE", "KEY")]
    made = {
        name: str(folder / Path(environment[name]).name) for name in names if name in environment
    }
    if made:
        if not shutil.which("openssl"):
            pytest.skip("openssl is not installed")
        request = "openssl req -x509 -noenc -days 90 -newkey rsa:2048 -subj /CN=localhost"
        request += " -addext subjectAltName=IP:127.0.0.1"
        files = ["-out", made[names[0]], "-keyout", made[names[1]]]
        subprocess.run([*request.split(), *files], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("case", ["everything", "least"])
def test_a_server_takes_its_configuration_and_answers_the_probes(case: str, tmp_path: Path) -> None:
    made = rendered(case)
    (container,) = made["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    environment = variables(container)
    named = {setting_of(name) for name in environment} - {None}
    assert named <= settings()
    configuration = tmp_path / "recant.toml"
    configuration.write_text(made["ConfigMap"]["data"]["recant.toml"])
    assert container["args"] == ["serve", "--config", f"/etc/recant/{configuration.name}"]
    environment |= certificate(environment, tmp_path)
    server = Server(tmp_path, configuration, environment)
    try:
        server.until_ready()
        for probe in ("livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert server.url.startswith(asked["scheme"].lower() + "://")
            assert server.ask(asked["path"])[0] == 200
        assert server.ask("/model")[0] == 401
    finally:
        server.stop()
    assert (server.data / "keys/master").exists() == ("MASTER_KEY" not in environment)


def test_the_files_of_tls_are_those_of_the_secret_and_for_the_pod_alone() -> None:
    made = rendered("everything")
    pod = made["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (secret,) = (one["secret"] for one in pod["volumes"] if one["name"] == "tls")
    assert secret == {"secretName": "recant-tls", "defaultMode": 0o440}
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "tls")
    named = {Path(value) for name, value in variables(container).items() if "__TLS_" in name}
    assert named == {Path(mount["mountPath"]) / name for name in ("tls.crt", "tls.key")}
    (endpoint,) = made["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"]["serverName"] == "recant.example"


def test_the_alerts_are_those_of_the_file() -> None:
    made = rendered("everything")
    assert made["PrometheusRule"]["spec"] == read_yaml(DEPLOY / "prometheus/rules.yaml")


def test_a_package_holds_the_file_and_not_the_link(tmp_path: Path) -> None:
    archive = Path(helm.Chart.load(CHART).save(tmp_path))
    with tarfile.open(archive) as packed:
        member = packed.getmember("recant/files/rules.yaml")
        assert member.isfile()
        content = packed.extractfile(member)
        assert content is not None
        assert content.read() == (DEPLOY / "prometheus/rules.yaml").read_bytes()


def test_the_job_is_the_one_that_the_rules_select() -> None:
    scrape = read_yaml(DEPLOY / "prometheus/prometheus.yaml")["scrape_configs"][0]
    (endpoint,) = rendered("everything")["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": scrape["job_name"]}]
    assert endpoint["path"] == scrape["metrics_path"]


@EACH
def test_the_service_and_the_claim_find_the_pod(case: str) -> None:
    made = rendered(case)
    template = made["StatefulSet"]["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    assert made["Service"]["spec"]["selector"].items() <= labels
    assert made["StatefulSet"]["spec"]["selector"]["matchLabels"].items() <= labels
    mounted = {mount["name"] for mount in template["spec"]["containers"][0]["volumeMounts"]}
    claims = made["StatefulSet"]["spec"].get("volumeClaimTemplates", [])
    given = {claim["metadata"]["name"] for claim in claims}
    given |= {volume["name"] for volume in template["spec"]["volumes"]}
    assert mounted == given


def test_without_keys_it_says_what_is_missing() -> None:
    with pytest.raises(helm.HelmRenderError, match="accessKeys is empty"):
        helm.Chart.load(CHART).render({}, name="shop")


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 2},
        {"accessKeys": [{"name": "shop", "sha256": "a key in clear", "roles": ["read"]}]},
        {"accessKeys": [{"name": "shop", "sha256": "0" * 64, "roles": ["root"]}]},
        {"image": {"repository": "recant", "digest": "sha256:short"}},
        {"persistence": {"size": "much"}},
    ],
)
def test_slips_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmValuesError):
        helm.Chart.load(CHART).validate_schema(wrong)


def test_the_defaults_are_of_their_own_schema() -> None:
    helm.Chart.load(CHART).validate_schema({})


def test_the_versions_are_those_of_the_program() -> None:
    assert read_yaml(CHART / "Chart.yaml")["appVersion"] == version()
