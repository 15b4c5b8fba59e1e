# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check the instruction of an episode by the rules with which the SmolVLA paper (2506.01844, section 3.2) cleaned data.

Instructions such as "task desc", "Hold" or "Up" were rewritten as sentences of at most 30 characters that begin with an
action verb, such as "Pick up the cube" or "Open the drawer".
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 30
PLACEHOLDERS = re.compile(
    r"task[ _]?(desc(ription)?|name|\d+)?|test\w*|todo|none|n/?a|unknown|dummy|default|single task|\W*", re.I
)
VERBS = frozenset(
    re.findall(
        r"\w+",
        """
align arrange assemble assist attach bring build carry catch charge clean clear close collect
connect cover cut deliver detach dip discard disconnect draw drag drop dry empty erase fetch fill
find fit flip fold follow gather give grab grasp grip group hand hang hit hold insert invert join
kick knock lay lift load lower make match mix mount move nudge open organize pack paint park pass
peel pick place plug point poke pour press pull push put raise reach release remove replace retrieve
return rotate scoop scrape screw separate set shake shift shut sit slice slide sort spin spread
squeeze stack stand stick stir stop store straighten stretch strike sweep swap switch take tap throw
tie tilt tip toss touch track transfer transport tug turn twist unfold unlock unload unplug unscrew
unstack untie use walk wash water wave weigh wipe wrap write zip
""",
    )
)
PREFIX = re.compile(
    r"^(please|now|the (robot|arm) (should|must|will)|robot,?|(you )?(should|must)|(i want you )?to|try to)\s+",
    re.I,
)
ARTICLES = re.compile(r"\b(?:the|an)\s")  # not "a", which is also the name of an object, as in "block a"
# Only before an article, with or without a particle: others may be nouns or adjectives, as in "Screws in the box".
INFLECTED_VERB = re.compile(r"^(\w+?)(?:ing|s)(?= (?:(?:up|down|out) )?(?:the|an?) )", re.I)


def task_problem(task: str) -> str:
    """What is wrong with an instruction, for a message; empty if nothing is."""
    length = len(task.strip())
    return unclear_problem(task) or (
        f"has {length} characters, more than {MAX_CHARACTERS}" if length > MAX_CHARACTERS else ""
    )


def unclear_problem(task: str) -> str:
    """Why an instruction does not say what to do, for a message; empty if it does, however long it is."""
    words = task.split()
    if PLACEHOLDERS.fullmatch(task.strip()):
        return "is a placeholder"
    if len(words) == 1:
        return "names no object"
    if words[0].lower().strip(",.") not in VERBS:
        return "does not begin with a verb"
    return ""


def suggest_task(task: str) -> str:
    """The instruction in the paper's style, without what does not change its meaning; empty if that does not suffice.

    Nothing that is asked for is left out: of "Pick up the cube and put it on the left" there is no shorter wording.
    """
    text = PREFIX.sub("", re.sub(r"[\s_]+", " ", task).strip(" .!"))
    words = text.split()
    if len(words) < 2:
        return ""
    verb = _verb(text)
    if not verb:
        return ""
    words[0] = verb.capitalize()
    short = " ".join(words)
    if len(short) > MAX_CHARACTERS:
        short = ARTICLES.sub("", short)
    is_better = len(short.split()) > 1 and short != task and not task_problem(short)
    return short if is_better else ""


def _verb(text: str) -> str:
    """picking up the, picks the -> pick; empty if the text does not begin with a known verb."""
    word = text.split()[0].lower().strip(",")
    if word in VERBS:
        return word
    inflected = INFLECTED_VERB.match(text)
    if not inflected:
        return ""
    stem = inflected[1].lower()
    forms = (stem, stem + "e", stem[:-1] if stem[-1:] == stem[-2:-1] else "")
    return next((form for form in forms if form in VERBS), "")
