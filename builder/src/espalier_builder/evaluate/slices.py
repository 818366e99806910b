"""Quality on each named slice of the evaluation text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from espalier_builder.evaluate.quality import Quality, QualityAccumulator
from espalier_builder.text.windows import EvaluationWindows


@dataclass(frozen=True, slots=True)
class SlicedQuality:
    """One slice of the text: the dense model, and another against it.

    `log_perplexity_half_width`: of the 95 % confidence interval of ln(perplexity / dense perplexity).
    """

    name: str
    tokens: int
    dense: Quality
    quality: Quality
    log_perplexity_half_width: float

    def to_json(self) -> dict[str, Any]:
        """The `SensitivitySlice` contract."""
        return {
            "name": self.name,
            "tokens": self.tokens,
            "dense": self.dense.to_json(),
            "quality": self.quality.to_json(),
            "logPerplexityHalfWidth": self.log_perplexity_half_width,
        }


def slice_qualities(
    windows: EvaluationWindows, dense: QualityAccumulator, model: QualityAccumulator
) -> list[SlicedQuality]:
    """In the order of the text's slices; both have been given all `windows`. Raises what `quality` raises."""
    return [
        SlicedQuality(
            name=part.name,
            tokens=sum(int(mask.sum()) for mask in part.masks),
            dense=dense.quality(text_bytes=part.text_bytes, masks=part.masks),
            quality=model.quality(text_bytes=part.text_bytes, masks=part.masks),
            log_perplexity_half_width=model.log_perplexity_half_width(dense, part.masks),
        )
        for part in windows.slices
    ]
