"""Files -> an asset's own data: points, heights, samples, frames. Decoders run in a bounded process."""

from tools.decoding.videos import luma
from tools.decoding.worker import Decoded, Worker, decode_in_worker

__all__ = ["Decoded", "Worker", "decode_in_worker", "luma"]
