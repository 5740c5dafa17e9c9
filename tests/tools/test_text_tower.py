"""The half that reads: texts, and prompts whose first words are learned vectors."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from knowledge import FittedPartError
from tools.localization.text_tower import OpenClipText, load_tokenizer
from tools.localization.weights import import_open_clip

TEXTS = ["a photo of a scratched metal plate.", "object.", "damaged object, seen from above"]
VISION = {"image_size": 16, "patch_size": 8, "layers": 4, "width": 16, "head_width": 16}
CLIP = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
WORDS = {"vocab_size": 99, "width": 32, "heads": 2, "layers": 2}
TOWERS = {
    "clip": CLIP,
    "mobileclip": {**CLIP, "no_causal_mask": True},
    "linear": {**CLIP, "proj_bias": True},
    "unprojected": {**CLIP, "proj_type": "none", "width": 16},
    "siglip": {**WORDS, "context_length": 20, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    "worldwide": {**WORDS, "context_length": 20, "pool_type": "eos", "eos_id": 2},
    "first": {**WORDS, "context_length": 20, "no_causal_mask": True, "pool_type": "first"},
}


def words(texts: list[str]) -> torch.Tensor:
    """A tokenizer like SigLIP's: no token before the words, an end (2), and a filling (1)."""
    rows = [[3 + sum(word.encode()) % 96 for word in text.lower().split()][:19] for text in texts]
    return torch.tensor([[*row, 2, *[1] * (19 - len(row))] for row in rows])


def tower(kind: str) -> OpenClipText:
    torch.manual_seed(0)
    model = import_open_clip().CustomTextCLIP(16, dict(VISION), dict(TOWERS[kind])).eval().requires_grad_(False)
    tokenizer = words if "eos_id" in TOWERS[kind] or TOWERS[kind]["vocab_size"] == 99 else load_tokenizer("ViT-B-16")
    return OpenClipText(model, kind, tokenizer)


def embedded(text: OpenClipText, word: str) -> torch.Tensor:
    """(width,) of a word that is one token."""
    return text.prompts([word], 1).tokens[0, text.prompts([word], 1).context.stop]


@pytest.mark.parametrize("kind", TOWERS)
def test_texts_are_encoded_as_open_clip_encodes_them(kind) -> None:
    text = tower(kind)
    ids = words(TEXTS) if text._given is words else load_tokenizer("ViT-B-16")(TEXTS)
    encoded = text.encode(TEXTS)
    assert torch.equal(encoded, text._model.encode_text(ids, normalize=True))
    assert encoded.shape == (3, text.dim)
    torch.testing.assert_close(encoded.norm(dim=-1), torch.ones(3))


@pytest.mark.parametrize("kind", TOWERS)
def test_a_prompt_without_context_is_its_text(kind) -> None:
    text = tower(kind)
    encoded = text.encode_prompts(text.prompts(TEXTS, 0), torch.empty(3, 0, text.width))
    torch.testing.assert_close(encoded, text.encode(TEXTS))


@pytest.mark.parametrize("kind", TOWERS)
def test_context_vectors_stand_where_words_would(kind) -> None:
    text = tower(kind)
    context = torch.stack([embedded(text, word) for word in ("blue", "round")]).expand(3, 2, text.width)
    encoded = text.encode_prompts(text.prompts(TEXTS, 2), context)
    torch.testing.assert_close(encoded, text.encode([f"blue round {one}" for one in TEXTS]))
    assert not torch.allclose(encoded, text.encode(TEXTS), atol=1e-3)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_only_the_context_learns(kind) -> None:
    text = tower(kind)
    slots = text.prompts(TEXTS[:2], 4)
    context = torch.zeros(2, 4, text.width, requires_grad=True)
    target = F.normalize(torch.ones(text.dim), dim=0)
    optimizer = torch.optim.Adam([context], 0.05)
    likeness = []
    for _ in range(5):
        loss = -(text.encode_prompts(slots, context) @ target).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        likeness.append(-loss.item())
    assert likeness == sorted(likeness)
    assert likeness[-1] > likeness[0] + 0.01
    assert (context.grad.abs().sum(-1) > 0).all()
    assert all(parameter.grad is None for parameter in text._model.parameters())


def test_a_tower_that_looks_back_only_reads_no_further_than_the_text() -> None:
    assert tower("clip").prompts(["object."], 12).ids.shape == (1, 1 + 12 + 2 + 1)
    assert tower("worldwide").prompts(["object"], 12).ids.shape == (1, 12 + 1 + 1)
    for kind, length in [("mobileclip", 77), ("siglip", 20), ("first", 20)]:
        assert tower(kind).prompts(["object."], 12).ids.shape == (1, length)


@pytest.mark.parametrize("context", [20, 25])
def test_context_that_does_not_fit_is_refused(context) -> None:
    with pytest.raises(FittedPartError, match=f"{context} context vectors do not fit into the 20 tokens"):
        tower("siglip").prompts(["object"], context)


def test_vectors_of_another_shape_are_refused_with_both_shapes() -> None:
    text = tower("siglip")
    with pytest.raises(ValueError, match=r"\(2, 3, 32\) for slots of shape \(2, 4, 32\)"):
        text.encode_prompts(text.prompts(TEXTS[:2], 4), torch.zeros(2, 3, 32))


def test_a_tokenizer_without_one_token_for_the_placeholder_is_unsupported() -> None:
    text = tower("siglip")
    letters = OpenClipText(text._model, "letters", lambda texts: torch.arange(20).repeat(len(texts), 1))
    with pytest.raises(FittedPartError, match="unsupported"):
        letters.prompts(TEXTS, 2)


def test_a_tower_with_a_token_of_its_own_reads_but_takes_no_prompts() -> None:
    model = import_open_clip().CustomTextCLIP(16, dict(VISION), {**CLIP, "embed_cls": True}).eval()
    text = OpenClipText(model, "coca", load_tokenizer("ViT-B-16"))
    assert text.encode(TEXTS).shape == (3, 16)
    with pytest.raises(FittedPartError, match="unsupported"):
        text.prompts(TEXTS, 2)


def test_a_tokenizer_that_is_not_here_is_not_fetched_in_silence(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(FittedPartError, match="run `anomalyst fetch ViT-B-16-SigLIP2`"):
        load_tokenizer("ViT-B-16-SigLIP2")
