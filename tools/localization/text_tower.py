"""The half of a vision-language model that reads."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from knowledge import FittedPartError
from tools.localization.weights import import_open_clip

Tokenizer = Callable[[list[str]], Tensor]
"""N texts -> (N, L) int64 ids, L always the same."""

_PLACEHOLDER = "X"
"""One token in every vocabulary that open_clip has; it holds the place of a context vector."""
_BATCH = 128


class PromptSlots(NamedTuple):
    """S texts with room for context vectors before their words."""

    ids: Tensor
    """(S, L) int64; the placeholders keep theirs, since towers find the end of a text by its ids."""
    tokens: Tensor
    """(S, L, width) float32: the ids as the tower embeds them."""
    context: slice
    """The positions that context vectors take."""


class TextTower(Protocol):
    """Texts in the space of pictures."""

    dim: int
    """Of the space that texts share with pictures."""
    width: int
    """Of a token, and so of a context vector."""
    temperature: float
    """Cosines of texts and pictures are multiplied by this, as the network was trained to."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """N texts -> (N, dim) float32 of length one."""
        ...

    def prompts(self, texts: Sequence[str], context: int) -> PromptSlots:
        """Texts with room for `context` vectors before each."""
        ...

    def encode_prompts(self, slots: PromptSlots, vectors: Tensor) -> Tensor:
        """(S, context, width) vectors -> (S, dim) of length one, with gradients to the vectors."""
        ...


class OpenClipText:
    """The text tower of a model of open_clip, frozen; it lies wherever the model lies."""

    def __init__(self, model: Any, architecture: str, tokenizer: Tokenizer | None = None) -> None:
        """`model` is a `CustomTextCLIP`; without a `tokenizer` that of the architecture is read when first needed."""
        self._model = model
        self._tower = model.text
        self._architecture = architecture
        self._given = tokenizer
        self.dim: int = self._tower.output_dim
        self.width: int = self._tower.width
        self.temperature = float(model.logit_scale.detach().exp())

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        parts = self._tokenizer(list(texts)).split(_BATCH)
        encoded = [self._model.encode_text(ids.to(self._device), normalize=True) for ids in parts]
        return _tensor(torch.cat(encoded).float().cpu())

    @torch.no_grad()
    def prompts(self, texts: Sequence[str], context: int) -> PromptSlots:
        if self._tower.cls_emb is not None or self._tower.use_pad_mask:
            raise FittedPartError(
                f"the text tower of {self._architecture} masks by its texts, and learned prompts are unsupported there; "
                "use a CLIP or SigLIP architecture"
            )
        first, placeholder = self._first_word
        slots = slice(first, first + context)
        ids = self._tokenizer([" ".join([_PLACEHOLDER] * context + [text]) for text in texts])
        ids = ids[:, : self._needed(ids)]
        if not (ids[:, slots] == placeholder).all() or ids.shape[1] < slots.stop:
            raise FittedPartError(
                f"{context} context vectors do not fit into the {self._tower.context_length} tokens of "
                f"{self._architecture}; use fewer"
            )
        return PromptSlots(ids, self._tower.token_embedding(ids.to(self._device)).float().cpu(), slots)

    def encode_prompts(self, slots: PromptSlots, vectors: Tensor) -> Tensor:
        room = slots.tokens[:, slots.context].shape
        if vectors.shape != room:
            raise ValueError(f"context vectors of shape {tuple(vectors.shape)} for slots of shape {tuple(room)}")
        before, after = slots.tokens[:, : slots.context.start], slots.tokens[:, slots.context.stop :]
        tokens = torch.cat([before.to(vectors), vectors, after.to(vectors)], dim=1).to(self._device)
        encoded = self._encoded(tokens, slots.ids.to(self._device))
        return F.normalize(encoded.float(), dim=-1).to(vectors.device)

    def _encoded(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """(S, L, width), (S, L) -> (S, dim): what the tower does after embedding, for texts that may be cut short."""
        tower = self._tower
        length = tokens.shape[1]
        mask = None if tower.attn_mask is None else tower.attn_mask[:length, :length]
        seen = tower.ln_final(tower.transformer(tokens + tower.positional_embedding[:length], attn_mask=mask))
        pooled = seen[torch.arange(len(seen), device=seen.device), self._ends(ids)]
        projection = tower.text_projection
        if projection is None:
            return _tensor(pooled)
        return _tensor(projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection)

    def _ends(self, ids: Tensor) -> Tensor:
        """(S,) the position at which the tower reads a text off; the highest id of a CLIP vocabulary ends the text."""
        pooling = self._tower.pool_type
        if pooling == "argmax":
            return ids.argmax(dim=-1)
        if pooling == "eos":
            return _tensor(ids == self._tower.eos_id).int().argmax(dim=-1)
        return torch.full((len(ids),), ids.shape[1] - 1 if pooling == "last" else 0, device=ids.device)

    def _needed(self, ids: Tensor) -> int:
        """How many positions bear on the result: where no token looks ahead, none after the longest text's end."""
        if self._tower.attn_mask is None or self._tower.pool_type not in ("argmax", "eos"):
            return ids.shape[1]
        return int(self._ends(ids).max()) + 1

    @functools.cached_property
    def _first_word(self) -> tuple[int, int]:
        """Where words begin (some tokenizers put a token before them, whichever way their tower looks), and what X is."""
        ids = self._tokenizer([" ".join([_PLACEHOLDER] * 4)])[0].tolist()
        for first in range(len(ids) - 3):
            if len(set(ids[first : first + 4])) == 1:
                return first, ids[first]
        raise FittedPartError(
            f"the tokenizer of {self._architecture} has no single token for {_PLACEHOLDER!r}, so that learned prompts "
            "are unsupported there; use a CLIP or SigLIP architecture"
        )

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return self._given or load_tokenizer(self._architecture)

    @property
    def _device(self) -> torch.device:
        return _tensor(self._tower.positional_embedding).device


def no_texts(backbone: str) -> FittedPartError:
    """Said of a backbone whose places cannot be compared with texts, where they have to be."""
    return FittedPartError(
        f"{backbone} has no texts that places of a picture can be compared with, so that it needs references; "
        "give at least one, or a CLIP ViT of open_clip, such as ViT-B-16, as the backbone"
    )


def load_tokenizer(architecture: str) -> Tokenizer:
    """The tokenizer of an architecture of open_clip, from this machine alone; CLIP's own comes with the package."""
    open_clip = import_open_clip()
    from_hub = open_clip.get_model_config(architecture)["text_cfg"].get("hf_tokenizer_name")
    try:
        tokenizer: Tokenizer = open_clip.get_tokenizer(architecture, **({"local_files_only": True} if from_hub else {}))
    except (ImportError, OSError, ValueError) as error:
        raise FittedPartError(
            f"the tokenizer of {architecture} is not on this machine; install the package transformers with pip "
            f"and run `anomalyst fetch {architecture}`"
        ) from error
    return tokenizer


def _tensor(value: Any) -> Tensor:
    """What open_clip does not say of itself."""
    tensor: Tensor = value
    return tensor
