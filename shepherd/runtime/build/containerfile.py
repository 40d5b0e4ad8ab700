"""A Containerfile as a whole: arguments of all, and stages. All that is wrong with it is found before anything runs."""

from shepherd.runtime.build import instructions, lines
from shepherd.runtime.build.problems import Problems, Wrong, shown
from shepherd.runtime.errors import RuntimeFailure, nearest


class Stage:
    """`number` from 0, `name` or None, `start` (the FROM) and the `instructions` after it."""

    def __init__(self, number, start):
        self.number = number
        self.start = start
        self.name = start.arguments[1]
        self.instructions = []

    @property
    def title(self):
        return self.name or "stage-%d" % self.number


class Containerfile:
    """`arguments` are the ARG instructions before the first FROM; `problems` describes places in it."""

    def __init__(self, problems):
        self.problems = problems
        self.arguments = []
        self.stages = []

    def find(self, text, before=None):
        """The Stage of this name or number, of those before the number `before`; None where there is none."""
        stages = self.stages[:before]
        for stage in reversed(stages):
            if stage.name == text.lower():
                return stage
        if text.isdigit() and len(text) < 5 and int(text) < len(stages):
            return stages[int(text)]
        return None

    def target(self, text) -> Stage:
        """The stage to be built: that one, or the last."""
        if not text:
            return self.stages[-1]
        found = self.find(text)
        if found is None:
            names = [stage.name for stage in self.stages if stage.name]
            raise RuntimeFailure(
                "%s has no stage %s" % (self.problems.name, shown(text)[:60]), nearest(text.lower(), names)
            )
        return found

    def failure(self, wrong, instruction) -> RuntimeFailure:
        """What to raise for something that shows only when the instruction is carried out."""
        return RuntimeFailure(self.problems.describe(wrong, instruction.first, instruction.last))


def parse(data: bytes, name: str) -> Containerfile:
    """The Containerfile in `data`; `name` is what messages call it. Raises RuntimeFailure with everything wrong."""
    try:
        source = lines.decode(data)
    except Wrong as wrong:
        raise RuntimeFailure("%s: %s" % (name, wrong.message))
    problems = Problems(name, source)
    found = Containerfile(problems)
    directives, start = lines.directives(source, problems)
    escape = directives.get("escape", "\\")
    for line in lines.cut(source, start, escape, problems):
        try:
            _add(found, instructions.read(line, escape))
        except Wrong as wrong:
            problems.add(wrong, line.first, line.last)
            if line.word == "FROM" and not found.stages:
                _add_unknown(found, line, escape)
    if not found.stages and not problems.found:
        raise RuntimeFailure("%s has no FROM: there is nothing to begin with" % name)
    for stage in found.stages:
        for instruction in stage.instructions:
            _check_origins(found, stage, instruction, problems)
    problems.check()
    return found


def triggers(texts, name) -> list:
    """The instructions that an image has for builds that begin with it."""
    found = []
    for text in texts:
        source = text.split("\n")
        problems = Problems(name, source)
        for line in lines.cut(source, 0, "\\", problems):
            try:
                if line.word in instructions.NO_TRIGGERS:
                    raise Wrong("%s is no trigger" % line.word, line.word)
                found.append(instructions.read(line))
            except Wrong as wrong:
                problems.add(wrong, line.first, line.last)
        problems.check()
    return found


def _add(found, instruction):
    if instruction.name == "FROM":
        stage = Stage(len(found.stages), instruction)
        if stage.name and any(one.name == stage.name for one in found.stages):
            raise Wrong("there is a stage %s already" % stage.name, instruction.text.split()[-1])
        found.stages.append(stage)
    elif found.stages:
        found.stages[-1].instructions.append(instruction)
    elif instruction.name == "ARG":
        found.arguments.append(instruction)
    else:
        raise Wrong("%s comes before the first FROM" % instruction.name, instruction.text.split()[0])


def _add_unknown(found, line, escape):
    """So that a FROM that is wrong is not the reason for complaints about all that follows."""
    found.stages.append(Stage(0, instructions.read(lines.Line("FROM scratch", line.first, line.last, []), escape)))


def _check_origins(found, stage, instruction, problems):
    """What is copied or mounted from another stage: that it is one, and comes before."""
    for text, word in origins(instruction):
        if text.isdigit() and int(text[:6]) >= stage.number:
            problems.add(
                Wrong("there is no stage %s before this one" % text, word), instruction.first, instruction.last
            )
        elif found.find(text, stage.number) is None and found.find(text) is not None:
            problems.add(Wrong("stage %s is not before this one" % text, word), instruction.first, instruction.last)


def origins(instruction) -> list:
    """(stage or image, the word in the text) of all that the instruction takes files from."""
    if instruction.name == "COPY" and "from" in instruction.options:
        text = instruction.options["from"]
        return [(text, "--from=" + text)]
    found = []
    for text in instruction.options.get("mount", ()) if instruction.name == "RUN" else ():
        for part in text.split(","):
            key, _, value = part.partition("=")
            if key.strip() == "from" and value:
                found.append((value, part))
    return found
