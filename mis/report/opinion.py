"""Which questions of EDPB Opinion 28/2024 the numbers speak to, and which not. No legal conclusion."""

from collections.abc import Sequence

from mis.report.page import Column, Part, Section, Table

__all__ = ["QUESTIONS", "section"]

NOT = "no"

# What the Opinion asks, in our words and by our names, and what is said where no result speaks to it.
QUESTIONS = {
    "extraction": (
        "How likely is it that personal data of the people in the training data are extracted from the model itself, "
        "probabilistically too?",
        "Not measured: extraction was not tried. Membership inference asks of a record that the attacker already holds "
        "whether it was in the training data.",
    ),
    "queries": (
        "How likely is it to obtain such data from queries, on purpose or not?",
        "Not measured: what the model says unasked, or when asked for a person's data, was not looked at.",
    ),
    "membership": (
        "Tests of resistance to membership inference, an attack that the Opinion names.",
        "Not measured: no attack was run.",
    ),
    "others": (
        "Tests against the other attacks that it names: attribute inference, exfiltration, regurgitation of training "
        "data, model inversion, reconstruction.",
        "Not tested here.",
    ),
    "everyone": (
        "Is the likelihood insignificant for any data subject, not only on average?",
        "Not measured.",
    ),
    "means": (
        "Does the assessment take into account all the means reasonably likely to be used by the controller or another "
        "person, unintended use and disclosure among them?",
        "Not measured: which means are reasonably likely is no number.",
    ),
    "design": (
        "Documentation: training data against parameters, and measures taken in the design to lower the likelihood of "
        "identification.",
        "Not recorded here.",
    ),
    "resistance": (
        "Documentation: what in theory keeps people from being identified again, and metrics of how likely that is, by "
        "the state of the art.",
        "Nothing is predicted here.",
    ),
    "documentation": (
        "Documentation: how the model was tested, by whom, when, to what extent, and with which results.",
        "Not recorded here.",
    ),
    "lawfulness": (
        "Is legitimate interest an appropriate legal basis for development and deployment? What follows from unlawful "
        "processing during development?",
        "Nothing here speaks to these.",
    ),
}

BEFORE = (
    "EDPB Opinion 28/2024 on AI models (17 December 2024) has an AI model count as anonymous only if, taking into "
    "account all the means reasonably likely to be used, the likelihood both of extracting personal data of the people "
    "in its training data and of obtaining them from queries is insignificant. The questions below are its questions "
    "in our words; its own text is what counts."
)
AFTER = (
    "This page draws no legal conclusion. Whether a likelihood is insignificant, whether a model is anonymous, and "
    "whether processing is lawful is for the controller to argue and for the supervisory authorities to assess, case "
    "by case. A small number here is no proof of the first: attacks bound what can be done from below."
)


def section(parts: Sequence[Part]) -> Section:
    """Return the questions, and for each whether the results speak to it and how."""
    rows = []
    for name, (question, nothing) in QUESTIONS.items():
        said = [part.opinion[name] for part in parts if name in part.opinion]
        spoken = "in part" if any(answer == "in part" for answer, _ in said) else NOT
        rows.append([question, spoken, " ".join(dict.fromkeys(text for _, text in said)) or nothing])
    columns = [Column(name="What the Opinion asks"), Column(name="Answered here?"), Column(name="By what")]
    table = Table(title="The Opinion's questions", columns=columns, rows=rows)
    return Section(title="In the terms of EDPB Opinion 28/2024", blocks=[BEFORE, table, AFTER])
