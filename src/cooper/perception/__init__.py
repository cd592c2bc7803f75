"""What an auxiliary map means. Importing this package registers the modalities that come with it."""

from cooper.perception import depth, segmentation
from cooper.perception.modality import Modality, Reading, build_modalities, register_modality

__all__ = ["Modality", "Reading", "build_modalities", "depth", "register_modality", "segmentation"]
