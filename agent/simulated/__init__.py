"""Parts that the project paints itself, for its demo and for tests: simulated, and called so."""

from agent.simulated.conveyor import CONVEYOR_KINDS, SimulatedVideo, write_conveyor
from agent.simulated.parts import SIMULATED, SimulatedParts, write_parts

__all__ = ["CONVEYOR_KINDS", "SIMULATED", "SimulatedParts", "SimulatedVideo", "write_conveyor", "write_parts"]
