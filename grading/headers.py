"""What a header or a label says: which quantity of lesson 1's network it names."""

import re
import unicodedata
from functools import lru_cache

from grading.words import ENGLISH

LONGEST = 40  # characters of a header

# What a header may say, once it has only small letters and digits: see `_plain`.
_LOSS = "e|err|error|loss|cost|j|l"
_TOTAL = "t|tot|total"
_GRADIENT = "grad(?:ient)?|nabla|partial|g"
_WEIGHT = "w(?:eight)?"
_ACTIVATION = "a|out|act|activation|sigma|sigmoid|sig|s|f"
HEADERS = [
    ("epoch", "(?:epochs?|iteration|iter|step)(?:no|nr|number)?|nr"),
    ("eta", "eta|lr|learningrate|learnrate|rate|alpha|stepsize"),
    (r"t\1", r"(?:t|y|target|targeto|targ)([12])"),
    (r"i\1", r"(?:i|x|in|input|inp)([12])"),
    (r"w\1", rf"{_WEIGHT}([1-8])"),
    (r"\1\2", r"(?:net|in|z|sum)?([ho])([12])"),
    (r"\1\2", r"([ho])([12])(?:net|in)"),
    (r"a_\1\2", rf"(?:{_ACTIVATION})([ho])([12])"),
    (r"a_\1\2", rf"([ho])([12])(?:{_ACTIVATION})"),
    (r"E\1", rf"(?:{_LOSS})(?:of)?(?:o|out)?([12])"),
    ("E_total", rf"(?:{_LOSS})(?:{_TOTAL}|sum)?|(?:total|tot|sum|sumof)(?:{_LOSS})s?|totalerror"),
    (r"∂E/∂w\1", rf"(?:d?(?:{_LOSS})(?:{_TOTAL})?d?|d|(?:{_GRADIENT})(?:of)?){_WEIGHT}([1-8])"),
    (r"∂E/∂w\1", rf"{_WEIGHT}([1-8])(?:{_GRADIENT})"),
    (r"∂E/∂w\1", r"grad([1-8])"),
    (r"∂E/∂w\1", rf"delta(?:{_LOSS})(?:{_TOTAL})?delta{_WEIGHT}([1-8])"),
]
SIGNS = {
    "Δ": "delta", "δ": "d", "ð": "d", "σ": "sigma", "α": "alpha", "τ": "t", "Σ": "sum",
    "ŷ": "ao", "η": "eta", "ͷ": "eta", "ƞ": "eta", "ɳ": "eta", "ŋ": "eta",
}  # fmt: skip
OPERATORS = {"∂": "d", "∇": "nabla ", "∑": "sum "}
# Greek and Cyrillic letters that look like Latin ones; Latin ones that are more than accents.
LOOK_ALIKE = str.maketrans(
    "АаВЕеНһІіКМОоРрСсТтХхԝԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧοωɛε",
    "AaBEeHhIiKMOoPpCcTtXxwWABEZHIKMNOPTYXowee",
)
NO_ACCENTS = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "æ": "ae", "đ": "d", "ß": "ss"})


def _bare(word):
    """A word in small letters, without accents, in its own script."""
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).translate(NO_ACCENTS)


TRANSLATED = {_bare(word): english for english, words in ENGLISH.items() for word in words.split()}
MOST_WORDS = 3  # that together mean one thing: taux d'apprentissage
# Words before a name that say what kind of thing it is: "weight w1", "gradient dE/dw1".
KINDS = ("input", "target", "weight", "out", "totalerror", "error", "learningrate", "grad")
_WORD = r"[^\W\d_]+"
_WORDS = re.compile(rf"{_WORD}(?:[ '’.-]+{_WORD})*")


def _english(text):
    """A header in English, in small Latin letters; a word that nobody knows is left out."""

    def translated(found):
        words, parts, k = re.findall(_WORD, found[0]), [], 0
        while k < len(words):
            for count in range(MOST_WORDS, 0, -1):
                joined = _bare("".join(words[k : k + count]))
                if joined in TRANSLATED:
                    parts.append(TRANSLATED[joined])
                    k += count - 1
                    break
            else:
                parts.append(_latin(words[k]))
            k += 1
        return " ".join(parts)

    for sign, name in OPERATORS.items():  # no letters
        text = text.replace(sign, name)
    return _WORDS.sub(translated, unicodedata.normalize("NFKC", text)).lower()


def _latin(word):
    """A word in Latin letters: signs, and letters that look alike; "" where some do not."""
    for sign, name in SIGNS.items():
        word = word.replace(sign, name)
    word = _bare(word.translate(LOOK_ALIKE))
    return word if word.isascii() else ""


def _plain(text):
    """A header in small letters and digits: "de_total / dw1" → "detotaldw1"."""
    return "".join(re.findall(r"[a-z]+|[0-9]+", text))


def canonical_name(text):
    """The column that a header names, in the spelling of `backprop.COLUMNS`, or None."""
    return _canonical_name(text) if isinstance(text, str) and len(text) <= LONGEST else None


@lru_cache(50_000)  # a sheet is searched several times
def _canonical_name(text):
    """The name that a short text says: what is in parentheses, the word before it, a formula."""
    text, _, formula = _english(text).partition("=")  # a_h1 = σ(h1)
    if re.fullmatch(r"[\d.,\s]+", formula):  # η = 0.5 is no header
        return None
    if re.fullmatch(r"\s*e_?1\s*\+\s*e_?2\s*", text):
        return "E_total"
    if found := re.fullmatch(r"\s*[ejl]['’′]\s*\(\s*w_?([1-8])\s*\)\s*", text):
        return f"∂E/∂w{found[1]}"
    if re.search(r"['’′+]", text):  # σ'(h1) and w1⁺ are other quantities
        return None
    before, _, inside = re.sub(r"\[", "(", text).partition("(")  # t1 (target)
    if re.match(r"\s*1\s*[-−–]", inside):  # a_h1·(1 − a_h1)
        return None
    if (name := _plain(inside)) in ("epoch", "eta"):  # t (epoch)
        return name
    for plain in (_plain(text), _plain(before)):
        kind = next((kind for kind in KINDS if plain.startswith(kind)), "")
        for candidate in (plain, plain.removeprefix(kind)):
            for name, pattern in HEADERS:
                if found := re.fullmatch(pattern, candidate):
                    return found.expand(name)
    return None


# Headers over two columns without names of their own.
_GROUPS = {"target": ("t1", "t2"), "input": ("i1", "i2")}


def group_names(text):
    """The names of the columns below a header such as "targets", merged over two; or ()."""
    return _group_names(text) if isinstance(text, str) and len(text) <= LONGEST else ()


@lru_cache(10_000)
def _group_names(text):
    return _GROUPS.get(_plain(_english(text.rstrip("s"))), ())


def forget_headers():
    """Forget the headers seen so far, so that no file's texts stay in memory."""
    _canonical_name.cache_clear()
    _group_names.cache_clear()
