"""The report as Markdown, for terminals and chats."""

from agent.report import FindingInfo, InspectionReport

_MARKS = {"supported": "✓", "refuted": "✗", "unverified": "?"}


def markdown_text(report: InspectionReport) -> str:
    """A report that reads well as plain text; texts from outside cannot open a heading, a link or HTML."""
    lines = [f"# {report.verdict.upper()}: {plain(report.product.name)}", ""]
    lines += [f"- {plain(reason)}" for reason in report.decision.reasons]
    lines += ["", _numbers(report), ""]
    if report.findings:
        lines += ["## Findings", ""]
        lines += [line for finding in report.findings for line in _finding(report, finding)]
    if report.rules:
        lines += ["## Rules", "", "| rule | result | |", "|---|---|---|"]
        lines += [
            f"| {plain(rule.id)} | {rule.result.replace('_', ' ')} | {plain(rule.text)} |" for rule in report.rules
        ]
        lines.append("")
    if report.not_checked:
        lines += ["## Not checked", ""]
        lines += [f"- {plain(item)}" for item in report.not_checked]
        lines.append("")
    lines.append(_footer(report))
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """One line without control characters, with Markdown's and HTML's own characters made harmless."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    for character in "\\`*_[]<>|":
        line = line.replace(character, "\\" + character)
    return line


def _numbers(report: InspectionReport) -> str:
    decision = report.decision
    if decision.score is None:
        return "No anomaly score was measured."
    threshold = "none can be promised" if decision.threshold is None else f"{decision.threshold:.3f}"
    return (
        f"Anomaly score {decision.score:.3f} (threshold {threshold}), "
        f"p-value {decision.p_value:.4g}, accepted false-alarm rate {decision.alpha:g}."
    )


def _finding(report: InspectionReport, finding: FindingInfo) -> list[str]:
    claims = [claim for claim in report.claims if claim.id in finding.claims]
    return [
        f"### {plain(finding.title)} ({finding.severity})",
        "",
        f"{_place(report, finding)}; peak {finding.score:.2f}.",
        "",
        *[f"- {_MARKS[claim.status]} {plain(claim.text)} ({claim.status})" for claim in claims],
        "",
    ]


def _place(report: InspectionReport, finding: FindingInfo) -> str:
    """In pixels of a picture, or in the own terms of another asset."""
    modality = next((shown.modality for shown in report.inputs if shown.id == finding.asset), "image")
    if modality == "image":
        x0, y0, x1, y1 = finding.box
        return f"Pixels {x0},{y0} to {x1},{y1}"
    said = [f"{name.replace('_', ' ')} {plainly(value)}" for name, value in finding.native.items() if value is not None]
    kind = (modality or "file").replace("_", " ").capitalize()
    return plain(f"{kind} {finding.asset}: {'; '.join(said)}")


def plainly(value: object) -> str:
    """A plain value of any kind in one line of printable letters."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(plainly, value))
    return "–" if value is None else "".join(each if each.isprintable() else "?" for each in str(value))


def _footer(report: InspectionReport) -> str:
    sent = (
        f"sent to {', '.join(plain(sent.to) for sent in report.sent_to)}"
        if report.sent_to
        else "nothing left this machine"
    )
    return f"_Inspection {report.inspection_id}, {report.usage.steps} steps in {report.usage.seconds:.1f} s; {sent}._"
