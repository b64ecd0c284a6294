"""Train SPARNet: data/pairs -> models/sparnet, reports/training/sparnet.csv."""

from __future__ import annotations

from sparnet.config import Params
from sparnet.stages import common
from sparnet.stages.training import generator_of, train
from sparnet.training.objectives import SparnetObjective
from sparnet.training.placement import Placement


def main(params: Params) -> None:
    settings = params.train_sparnet

    def build(placement: Placement) -> SparnetObjective:
        return SparnetObjective(generator_of("sparnet", settings, params), settings, placement)

    train("sparnet", settings, params, build)


if __name__ == "__main__":
    common.run(main)
