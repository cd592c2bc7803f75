"""TRL's trainer without the model cards that TRL and PEFT leave in a run folder."""

from pathlib import Path
from typing import Any

from trl import GRPOTrainer


class WithoutCards(GRPOTrainer):
    """A trainer whose run folder holds what this project writes. The cards of the libraries are about themselves: they name
    neither the recipe nor what the model does."""

    def create_model_card(self, *given: Any, **named: Any) -> None:
        """TRL would write one with every checkpoint."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """PEFT writes one beside adapters, which is removed before the checkpoint is sealed."""
        super()._save(output_dir, state_dict)
        Path(output_dir or self.args.output_dir or ".", "README.md").unlink(missing_ok=True)
