"""Tell MLflow what an evaluation found: results on the training runs, a baseline run, the registry.

A training run is found by the hash of its weights, not by a file: weights may come from another
machine, and a run's id in an out would change its bytes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import cast

import pandas as pd

from sparnet import config, files, tracking
from sparnet.data.pairing import ModelName
from sparnet.data.validation import drift, profile, reference
from sparnet.data.validation.profile import Profile
from sparnet.evaluation import seen
from sparnet.evaluation.contest import Contest, hold
from sparnet.evaluation.examples import example_sheet
from sparnet.inference import pyfunc
from sparnet.models import checkpoint
from sparnet.models.generator import Generator
from sparnet.tracking import Registry, Version

BASELINE_TAG = "baseline_of_data"
FEWEST_PICTURES = 5
"""Test pictures that must remain to judge by, where some have to be left out."""


def record(
    contests: Sequence[Contest],
    weights: Mapping[ModelName, Path],
    data_digest: str,
    evaluation: config.Evaluate,
    device: str,
    store: config.Tracking,
    promotes: bool,
    data_profile: Path,
    prepared: pd.DataFrame,
) -> None:
    """Log every contest's results, register its weights, and promote them where they are better.

    The file `data_profile`, which describes the training data, is kept with each version, and how
    far they are from the champion's is logged. So is the list of the faces that it was trained
    with, out of the manifest `prepared`: versions are compared on faces that neither has seen.

    Unless it `promotes`, the champion stays: many trials, of which the best on the test pictures
    is kept, would make those pictures part of the training.

    Raises UserError where the store cannot be reached.
    """
    uri, experiment = store.uri, store.experiment
    registry = Registry(uri)
    tags = {"protocol": evaluation.protocol, "data_sha256": data_digest}
    faces = seen.of(prepared)
    for contest in contests:
        _record_baseline(contest, data_digest, tags, uri, experiment)
        path = weights[contest.model]
        sha256 = files.sha256(path)
        with tracking.run(
            uri,
            experiment,
            contest.model,
            {"stage": "evaluate", tracking.WEIGHTS_TAG: sha256},
            resume=tracking.find_run_by_weights(uri, experiment, sha256),
        ) as run:
            run.set_tags(tags)
            run.log_results(contest.summaries()[contest.model])
            run.log_image("test/strips", example_sheet(contest.examples), 0)
            version = registry.register(
                run.run_id, contest.model, path, sha256, Path(pyfunc.__file__), _about(contest)
            )
            run.log_results(_drift(registry, version, profile.read(data_profile)))
            reference.keep(registry, version, data_profile)
            seen.keep(registry, version, faces)
        registry.challenge(contest.model, version.version)
        if promotes and _deserves_promotion(
            contest, registry, version, evaluation, device, prepared
        ):
            registry.promote(contest.model, version.version)
            print(f"{contest.model}: version {version.version} is the champion", file=sys.stderr)


def _record_baseline(
    contest: Contest, data_digest: str, tags: Mapping[str, str], uri: str, experiment: str
) -> None:
    key = f"{contest.baseline}:{data_digest}"
    with tracking.run(
        uri,
        experiment,
        contest.baseline,
        {"stage": "baseline", BASELINE_TAG: key},
        resume=tracking.find_run(uri, experiment, BASELINE_TAG, key),
    ) as run:
        run.set_tags(tags)
        run.log_results(contest.summaries()[contest.baseline])


def _drift(registry: Registry, version: Version, new: Profile) -> dict[str, float]:
    """Distances of the data from those of the champion that the version is to replace."""
    champion = registry.champion(version.name)
    if champion is None or champion.version == version.version:
        return {}
    known = reference.of_version(registry, champion)
    rows = drift.compare(known, new, config.Drift()) if known else ()
    return {f"drift/{row.quantity}": row.distance for row in rows if row.distance is not None}


def _about(contest: Contest) -> str:
    means = contest.summaries()
    ours, theirs = (means[name]["test/psnr"] for name in (contest.model, contest.baseline))
    side = contest.generator.config.size
    return (
        f"{ours:.2f} dB PSNR on {len(contest.pairs)} test pictures of side {side}; "
        f"{contest.baseline}: {theirs:.2f} dB"
    )


def _deserves_promotion(
    contest: Contest,
    registry: Registry,
    version: Version,
    evaluation: config.Evaluate,
    device: str,
    prepared: pd.DataFrame,
) -> bool:
    """Whether there is no champion, or this version beats it on faces that neither has seen.

    Never for a version that a person rolled back.
    """
    champion = registry.champion(contest.model)
    if champion is not None and champion.version == version.version:
        return False
    if version.rolled_back_at:
        print(
            f"{contest.model}: version {version.version} stays challenger: it was rolled back on "
            f"{version.rolled_back_at}; to have it back, promote it by hand",
            file=sys.stderr,
        )
        return False
    if champion is None:
        return True
    with tempfile.TemporaryDirectory() as folder:
        path = registry.download_weights(champion, Path(folder))
        generator = cast(Generator, checkpoint.load(path))
    if generator.config.size != contest.generator.config.size:
        print(
            f"{contest.model}: version {version.version} stays challenger: the champion is made "
            f"for pictures of side {generator.config.size}, so the two cannot be compared",
            file=sys.stderr,
        )
        return False
    ids = _fair(contest, registry, version, champion, prepared)
    if not ids:
        return False
    rival = hold(
        contest.model,
        generator,
        contest.pairs,
        device,
        evaluation.batch_size,
        evaluation.protocol,
    )
    ours, theirs = (
        fmean(row.psnr for row in item.after if row.id in ids) for item in (contest, rival)
    )
    print(
        f"{contest.model}: version {version.version} {ours:.3f} dB, champion {theirs:.3f} dB on "
        f"{len(ids)} test pictures ({len(contest.pairs) - len(ids)} left out)",
        file=sys.stderr,
    )
    return ours > theirs + evaluation.min_gain_db


def _fair(
    contest: Contest,
    registry: Registry,
    version: Version,
    champion: Version,
    prepared: pd.DataFrame,
) -> set[str]:
    """Ids of the test pictures to compare the two on; none where those left are too few."""
    every = {row.id for row in contest.after}
    lists = [seen.of_version(registry, one) for one in (version, champion)]
    known = [one for one in lists if one is not None]
    if len(known) < len(lists):
        print(
            f"{contest.model}: version {champion.version}, the champion, has no list of the faces "
            "that it was trained with: compared on all test pictures",
            file=sys.stderr,
        )
        return every
    ids = every & seen.strangers(prepared, *known)
    if len(ids) < min(FEWEST_PICTURES, len(every)):
        print(
            f"{contest.model}: version {version.version} stays challenger: of {len(every)} test "
            f"pictures only {len(ids)} show people whom neither it nor the champion was trained "
            f"with; {FEWEST_PICTURES} are needed to compare them",
            file=sys.stderr,
        )
        return set()
    return ids
