"""chat: questions about planted parts whose answers are known, and some that no evidence can answer."""

from pathlib import Path

from evals.cases import Case, Question, Suite
from evals.suites.parts import Source, source_of

_PARTS = 4

_UNANSWERABLE = (
    "What is the name of the operator?",
    "Who made this part?",
    "How heavy is it?",
    "Will it break next week?",
)


def chat(folder: Path, seed: int) -> Suite:
    source = source_of("image", folder)
    cases: list[Case] = []
    for number in range(_PARTS):
        cases.append(_asked(source, 4000 + 100 * seed + number))
    sound = source.sound(4000 + 100 * seed)
    questions = (
        _question("verdict", "What is the verdict?", "normal"),
        _question("why", "Why is it normal?", "normal"),
        _question("findings", "Where are the findings?", "no finding"),
        *_open(),
    )
    cases.append(sound.model_copy(update={"questions": questions}))
    return Suite(
        name="chat",
        description="Follow-up questions on simulated plates: right answers, and 'not in the evidence' where it is not.",
        seed=seed,
        products=(source.source,),
        cases=tuple(cases),
    )


def _asked(source: Source, seed: int) -> Case:
    case, _ = source.defective(seed)
    violated = case.expected.rules_violated or ()
    questions = [
        _question("verdict", "What is the verdict?", "anomalous"),
        _question("why", "Why is it anomalous?", "anomalous", *(f"Rule {rule}" for rule in violated[:1])),
        _question("where", "Where is the main finding?", "region", "box"),
        _question("size", "How large is finding 1?", "area"),
        _question("sure", "How sure are you?", "p-value"),
        _question("rule", "Was rule I-1 kept?", "I-1", "is kept"),
        _question("sent", "What was sent to the cloud?", "Nothing was sent"),
        _question("steps", "Which steps did you take?", "localize anomalies"),
        _question("closer", "Look closer at finding 1", "anomaly map peaks"),
        _question("compare", "Compare finding 1 with the first reference", "same place on reference"),
    ]
    return case.model_copy(update={"questions": (*questions, *_open())})


def _question(id_: str, text: str, *holds: str) -> Question:
    return Question(id=id_, text=text, holds=holds)


def _open() -> tuple[Question, ...]:
    return tuple(Question(id=f"open{n}", text=text, unanswerable=True) for n, text in enumerate(_UNANSWERABLE))
