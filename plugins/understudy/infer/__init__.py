"""Write a complete, commented ``model.yaml`` from a data file."""

from understudy.infer.inference import Inference, infer_spec

__all__ = ["Inference", "infer_spec"]
