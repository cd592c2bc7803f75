"""All that ours takes from an installed VLMEvalKit (`ms-vlmeval`).

Importing the kit turns the check of certificates off for the whole process; here it is turned on again.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from cooper.evaluation.kits import torchvision_cpu  # before the kit, which imports torchvision

_HTTPS = "_create_default_https_context"


@contextmanager
def _certificates_checked() -> Iterator[None]:
    before = getattr(ssl, _HTTPS)
    try:
        yield
    finally:
        setattr(ssl, _HTTPS, before)


with _certificates_checked():
    import vlmeval.dataset as datasets
    import vlmeval.vlm as models
    from vlmeval.config import supported_VLM as supported_models
    from vlmeval.dataset.image_base import ImageBaseDataset
    from vlmeval.inference import FAIL_MSG
    from vlmeval.run import main
    from vlmeval.smp import LMUDataRoot, collect_run_benchmark_report, dump, get_intermediate_file_path, load_run_status
    from vlmeval.vlm.base import BaseModel

__all__ = ["FAIL_MSG", "BaseModel", "ImageBaseDataset", "LMUDataRoot", "collect_run_benchmark_report", "datasets"]
__all__ += ["dump", "get_intermediate_file_path", "load_run_status", "main", "models", "supported_models", "torchvision_cpu"]
