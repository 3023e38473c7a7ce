"""Plain ways to ask the world's questions, and plain yes/no questions about a clip."""
import re

_PRE = r"^(?P<pre>Before the cut: |After the cut: )?"
# kind, pattern of the written question, plain wordings; the last wording of a kind is never trained on
_ASK = [
    ("colour", r"(?:What|Which) colour (?P<be>is|are) the (?P<n>.+?)(?P<first> at the start)?\?$",
     ["What color {be} the {n}{first}?", "Tell me the colour of the {n}{first}.", "{n} colour{first}?",
      "What's the color of the {n}{first}?", "Can you tell me what colour the {n} {be}{first}?", "The {n}{first}: which colour?",
      "Say what color the {n} {be}{first}.", "Do you know the colour of the {n}{first}?", "Name the colour of the {n}{first}.",
      "I want to know which colour the {n} {be}{first}."]),
    ("count", r"How many (?P<n>.+?) (?:are there|can you see)\?$",
     ["How many {n}?", "Count the {n}.", "What is the number of {n}?", "How many {n} are in the video?", "Give the number of {n}.",
      "Count how many {n} there are.", "Tell me how many {n} you see.", "Can you say how many {n} there are?", "Number of {n}?",
      "Can you count the {n} in this clip?"]),
    ("direction", r"(?:Which way|In which direction|Where) (?:do|does|is|are) the (?P<n>.+?) (?:move|go|heading)\?$",
     ["Where does the {n} go?", "Which way is the {n} going?", "What direction is the {n} moving in?",
      "Is the {n} moving left, right, up or down?", "Which side does the {n} move to?", "Tell me which way the {n} goes.",
      "Where is the {n} going?", "Say which way the {n} is moving.", "Direction of the {n}?", "Where does the {n} move?",
      "Tell me where the {n} is moving."]),
    ("scene", r"(?:Where does this take place|What is the scene|What is in the background)\?$",
     ["Where is this?", "What place is this?", "Where was this video made?", "What do you see in the background?",
      "What kind of place is it?", "Tell me the place.", "Which place is it?", "What place does the clip show?", "Where are we?",
      "Name the scene.", "Which place does the video show?"]),
    ("time_of_day", r"(?:What time of day is it|When does this take place)\?$",
     ["When is this?", "What time is it?", "Which time of the day is it?", "When was it filmed?", "Is it dawn, noon, sunset or night?",
      "What part of the day is it?", "Name the time of day.", "Tell me when this is.", "Say what time of day it is.",
      "Tell me the time of day."]),
    ("speed", r"(?:How fast (?:do|does) the (?P<n>.+?) move|(?:Is|Are) the (?P<m>.+?) slow or fast)\?$",
     ["Does the {n} go slow or fast?", "Is the {n} moving slow or fast?", "How quick is the {n}?", "What is the speed of the {n}?",
      "Slow or fast, the {n}?", "Tell me if the {n} is slow or fast.", "Do you think the {n} is fast or slow?", "Say how fast the {n} is.",
      "Would you say the {n} is slow or fast?"]),
    ("event", r"(?:What happens during the clip|Which event takes place)\?$",
     ["What happens?", "What happens in the video?", "Does something happen?", "What is going on?", "Say what happens in the clip.",
      "What changes?", "Tell me the event.", "Can you say what happens here?", "Name what happens.", "Tell me what happens."]),
    ("motion", r"(?:What|How) (?:do|does) the (?P<n>.+?) (?:do|move)\?$",
     ["What is the {n} doing?", "What are the {n} doing?", "How is the {n} moving?", "What does the {n} do in the video?",
      "Tell me how the {n} moves.", "Say what the {n} is doing.", "Can you tell what the {n} is doing?", "What does the {n} do here?",
      "Tell me what the {n} does."]),
    ("camera", r"(?:Which way does the camera pan|How does the camera move)\?$",
     ["Which way is the camera moving?", "What does the camera do?", "Where does the camera go?", "Camera movement?",
      "How is the camera moving?", "Which direction does the camera move in?", "Tell me how the camera moves.",
      "Say which way the camera turns.", "In what direction does the camera pan?", "What about the camera?",
      "In which direction does the camera turn?"]),
    ("camera", r"(?:Does the camera move|Is the camera moving)\?$",
     ["Is there camera movement?", "Does the camera pan?", "Is the camera panning?", "Does the camera turn?",
      "Tell me if the camera moves.", "Is the camera turning?", "Do you see the camera move?", "Does this clip have a moving camera?",
      "Is it a moving camera?"]),
    ("subject", r"(?:What is in the video|What can you see|Which thing is shown)\?$",
     ["What is this?", "What do you see?", "What is shown?", "What does the video show?", "What object is in the clip?",
      "Tell me what you see.", "Name what you can see.", "What thing is in the clip?", "Which object do you see?",
      "Say what is in the video.", "Name the thing in the video."]),
]
_ASK = [(k, re.compile(_PRE + p), w) for k, p, w in _ASK]
LEADS = ["Please tell me: ", "In this video, ", "In the clip: ", "Look at the video. "]
HELD_LEAD = "Answer this for me: "


def plain(question, rng, held=False):
    """The same question in plain words, or None where no other wording is known. `held`: the wordings kept for the test."""
    for _, pattern, wordings in _ASK:
        m = pattern.match(question)
        if m:
            g = {k: v or "" for k, v in m.groupdict().items()}
            g["n"] = g.get("n") or g.get("m") or ""
            text = (wordings[-1] if held else rng.choice(wordings[:-1])).format(**g)
            return (g["pre"] or "") + text[:1].upper() + text[1:]
    return None


def careless(question, rng):
    """As people type: small letters, no question mark, or a lead in front."""
    r = rng.random()
    if r < 0.4:
        question = question.lower()
    elif r < 0.6:
        question = rng.choice(LEADS) + question[:1].lower() + question[1:]
    if rng.random() < 0.5 and question.endswith(("?", ".")):
        question = question[:-1]
    return question


def yes_no(spec, rng, world):
    """Plain questions whose answer is yes or no; one shot only."""
    if len(spec["shots"]) > 1:
        return []
    a = spec["subjects"][0]
    n, be = world.noun(a["kind"], a["count"]), "are" if a["count"] > 1 else "is"
    events = {e["type"] for e in spec["events"]}
    out = []

    def ask(true, wrong, text):
        yes = rng.random() < 0.5
        value = true if yes else rng.choice([w for w in wrong if w != true])
        out.append(dict(question=text.format(value), answer="yes" if yes else "no", kind="check", options=["yes", "no"]))

    if "colour" not in events:
        ask(a["colour"], world.COLOUR_NAMES, f"{be.capitalize()} the {n} {{}}?")
    if spec["time_of_day"] != "none":
        ask(spec["time_of_day"], world.TIMES, "Is it {}?")
    if "enter" not in events:
        words = ["one", "two", "three"]
        ask(words[a["count"] - 1], words, f"{{}} {world.noun(a['kind'], 2)}, is that right?")
    if a["motion"] in ("left", "right", "up", "down") and "reverse" not in events:
        ask(a["motion"], ["left", "right", "up", "down"], f"Does the {n} move {{}}?" if be == "is" else f"Do the {n} move {{}}?")
    pans = {"static": "still", "pan_left": "panning left", "pan_right": "panning right"}
    ask(pans[spec["camera"]], list(pans.values()), "Is the camera {}?")
    return [dict(q, question=q["question"][:1].upper() + q["question"][1:]) for q in out]
