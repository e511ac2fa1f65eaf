"""The rules by which the files of a dataset become images."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ImageRules(BaseModel):
    """How the files of a dataset become images: the declared rules, where a conversion would otherwise be a guess."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_range: float | None = Field(
        None, gt=0, description="Value that means white; default the container's full range, 255 or 65535."
    )
    alpha: Literal["refuse", "black", "white", "drop"] = Field("refuse", description="Background to composite on.")
    palette: Literal["refuse", "expand"] = Field("expand", description="Palette images: refuse, or look colours up.")
    cmyk: Literal["refuse", "convert"] = Field("refuse", description="convert: the plain formula, no colour profile.")
    exif: Literal["apply", "ignore"] = Field("apply", description="EXIF orientation.")
    window: tuple[float, float] | None = Field(None, description="DICOM: lowest and highest rescaled value kept.")

    @model_validator(mode="after")
    def _window_is_ordered(self) -> ImageRules:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError("window must be [lower, upper] with lower < upper")
        return self
