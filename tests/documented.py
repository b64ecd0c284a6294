"""The commands that the pages tell people to type, and who tries them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "infra").glob("*.md")])

FRESH = {
    "sparnet params use quick": "is now the profile 'quick'",
    "sparnet params use light": "is now the profile 'light'",
    "sparnet params use paper": "is now the profile 'paper'",
    "sparnet params show": "train_sparnet",
    "sparnet params show paper": "train_sparnet",
    "dvc params diff": "train_sparnet.steps",
    "dvc dag": "train_sparnethd",
    "sparnet doctor": "params.yaml",
    "sparnet weights import released.pth released.safetensors --network sparnet": "written",
    "python -c \"from skimage import data, io; io.imsave('astronaut.png', data.astronaut())\"": "",
}
"""Tried in a new checkout, in this order, with what the output must hold."""

TRAINED = {
    "sparnet results": "| sparnethd",
    "dvc metrics show": "reports/metrics.json",
    "dvc metrics diff": "reports/metrics.json",
    "dvc plots show -o reports/dvc": "index.html",
    "dvc repro": "Data and pipelines are up to date.",
    "dvc repro --force --single-item download": "data/raw: ",
    "python -m flows.pipeline --target validate": "Unchanged",
    "python -m flows.pipeline --refresh": "Unchanged",
    "sparnet enhance photo.png -o restored.png": "1 face(s) restored",
    "sparnet enhance photo.png -o twice.png --upscale 2": "1 face(s) restored",
    "sparnet enhance photo.png -o faces --faces-only": "faces/photo-1.png",
    "sparnet enhance photo.png -o compared.png --no-paste": "compared.png",
    "sparnet enhance face.png -o sharp.png --model sparnet --aligned": "1 face(s) restored",
    "sparnet attention face.png -o sheet.png --model sparnet": "sheet.png",
    "sparnet weights info models/sparnet/best.safetensors": '"attention_channels": 8',
    "sparnet weights export models/sparnet/best.safetensors sparnet.pth": "written",
    "serving package sparnet": "build/registered/sparnet.mar: sparnet version",
}
"""Tried after a run of the whole graph, in this order."""

EXPERIMENTS = {
    'git add params.yaml dvc.lock && git commit -m "A run to compare with"': "dvc.lock",
    "dvc exp run --queue --name rate -S train_sparnet.optimizer.lr=5.0e-4,4.0e-3": "rate-2",
    "dvc queue start --jobs 1": "Started '1' new experiments task queue worker",
    "dvc queue status": "Success",
    "dvc queue logs rate-1": "Running stage 'train_sparnet'",
    "dvc exp show --only-changed --drop 'models|reports'": "0.0005",
    "dvc exp diff rate-1 rate-2": "train_sparnet.optimizer.lr",
    "dvc plots diff rate-1 rate-2 -o reports/dvc": "index.html",
    "dvc exp apply rate-2": "applied",
    "dvc repro --force --single-item evaluate": "champion",
    "dvc exp branch rate-1 lower-rate": "created",
    "dvc exp remove rate-1 rate-2": "Removed",
}
"""Tried after a run of the whole graph, in this order."""

ELSEWHERE = {
    "make run": "two commands, which are tried after one another",
    "make test": "runs this",
    "make serve": "a server; tests/serving starts it",
    "make schedule": "a server; tests/flows starts it",
    "python -m flows.pipeline": "how tests/pipeline runs the whole graph",
    ". .venv/bin/activate": "there is none where the tests run",
    "curl -H @.state/serving/authorization -T astronaut.png -o restored.png "
    "http://127.0.0.1:8080/v1/enhance": "needs the server; tests/serving does",
    "curl -H @.state/serving/authorization -H 'Accept: image/webp' -F picture=@astronaut.png "
    "-o restored.webp 'http://127.0.0.1:8080/v1/enhance?model=sparnethd'": "likewise",
    "sparnet remote enhance astronaut.png -o remote.png": "likewise",
    "export SPARNET_URL=https://faces.example SPARNET_KEY=ID.SECRET": "there is no such server",
    "sparnet remote models": "tests/remote does",
    "sparnet remote enhance album -o restored --jobs 4 --format webp": "likewise",
    "sparnet remote enhance photo.png -o restored.png --url https://faces.example "
    "--key-file key": "likewise",
    "serving deploy build/sparnet.mar": "needs the server; tests/serving does",
    "serving deploy build/registered/sparnet.mar": "likewise",
    "serving rollback sparnet": "likewise",
    "serving status": "likewise",
    "serving canary build/sparnet.mar --percent 5": "likewise",
    "serving shadow build/sparnet.mar --percent 100": "likewise",
    "serving end-trial sparnet": "likewise",
    "serving keys add laptop --scope infer": "tests/serving does",
    "serving keys list": "likewise",
    "serving keys revoke 0123456789ab": "likewise",
    "sparnet enhance album -o restored --jobs 2 --min-confidence 0.3": "tests/inference does",
    "sparnet enhance clip.mp4 -o restored.mp4 --upscale 2": "tests/inference restores videos",
    "dask scheduler --host 127.0.0.1 --no-dashboard": "a server; tests/data starts it",
    "dask worker tcp://127.0.0.1:8786 --nworkers 2 --nthreads 1 --no-dashboard": "likewise",
    "prefect automation create --from-file infra/prefect/automations.yaml": "tests/flows does",
    "prefect work-pool create sparnet --type process": "tests/flows does",
    "prefect --no-prompt deploy --all": "tests/flows does",
    "prefect server start": "a server; tests/flows starts it",
    "export PREFECT_API_URL=http://127.0.0.1:4200/api": "says where that server is",
    "prefect worker start --pool sparnet": "goes on until it is stopped",
    "prefect deployment run pipeline/nightly --watch": "needs that worker",
    "useradd --system --home-dir /var/lib/sparnet --shell /usr/sbin/nologin sparnet": "as root",
    "install -m 644 infra/serving/sparnet-serving.service /etc/systemd/system/": "as root; "
    "tests/infra checks the unit",
    "systemctl daemon-reload": "needs a running systemd",
    "systemctl enable --now sparnet-serving": "likewise",
    "podman build --format docker -f infra/serving/Containerfile -t sparnet-serving .": "needs an "
    "image of Python; tests/infra reads the file",
    "podman run -d --name sparnet --init --read-only --tmpfs /tmp:exec,size=4g --cap-drop all "
    "--security-opt no-new-privileges -p 127.0.0.1:8080:8080 -v ./build:/srv/sparnet/build:ro "
    "-v sparnet:/srv/sparnet/.state/serving sparnet-serving": "needs that image",
    "podman exec sparnet serving keys add laptop --scope infer": "likewise",
    "podman stop --time 90 sparnet": "likewise",
    "(umask 077 && serving keys add prometheus --scope admin "
    "> .state/serving/prometheus.key)": "tests/serving does",
    "prometheus --config.file infra/monitoring/prometheus.yml --storage.tsdb.path "
    ".state/prometheus --web.listen-address 127.0.0.1:9090": "a server; tests/infra checks "
    "its files",
    "promtool check config infra/monitoring/prometheus.yml": "tests/infra does",
    "promtool test rules infra/monitoring/rules.test.yml": "tests/infra does",
}
"""Not tried as they stand, and why."""


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of the page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def typed(page: Path) -> list[str]:
    """The lines of the page's console blocks, without their comments."""
    lines = "".join(blocks(page, "console")).splitlines()
    return [bare for line in lines if (bare := re.sub(r"(^|\s+)#\s.*", "", line).strip())]
