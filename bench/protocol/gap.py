"""How far the figures of a preset were from those of the rules, as far as anybody measured it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bench.threats import Norm


class Gap(BaseModel):
    """How far a preset's figure was from that of the rules, measured under one norm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm: Norm
    networks: Annotated[int, Field(ge=1)]
    points: Annotated[int, Field(ge=1)]
    """Classified correctly, of all networks together."""
    more: Annotated[int, Field(ge=0)]
    """Points that stood under the preset and not under the rules."""
    largest: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
    """The same of the network where that share was largest, and its correct points."""
    network: str
    """Which that was."""

    def words(self) -> str:
        """Return what was measured, as half a sentence."""
        most, points = self.largest
        share, worst = f"{self.more / self.points:.1%}", f"{most / points:.1%}"
        return (
            f"preliminary under {self.norm}: {self.more} of {self.points} points of {self.networks} networks stood "
            f"that the rules break ({share}), at most {most} of {points} of one ({self.network}, {worst})"
        )
