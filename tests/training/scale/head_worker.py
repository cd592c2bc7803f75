"""One of two processes with sharded weights and rows of other lengths, so that their heads score in other numbers of parts."""

import sys

import torch
import torch.distributed as distributed

from cooper.model import head
from cooper.training.scale.sharding import ShardingSettings, shard, whole
from cooper.training.stages.objective import LossWeights, PackedObjective
from tests.model.test_head import VOCABULARY, batch
from tests.networks import tiny_model

LENGTHS = (60, 5)


def main() -> None:
    distributed.init_process_group("gloo")
    head.AT_ONCE = 4 * VOCABULARY
    model = tiny_model()
    objective = PackedObjective(model, LossWeights())
    shard(objective, ShardingSettings(), torch.device("cpu"), bf16=False)
    objective(batch(LENGTHS[distributed.get_rank()])).sum().backward()
    found = {name: whole(weight.grad) for name, weight in model.named_parameters() if weight.grad is not None}
    if distributed.get_rank() == 0:
        torch.save(found, sys.argv[1])
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
