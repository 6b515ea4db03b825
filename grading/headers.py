"""What a header or a label says: which quantity of lesson 1's network it names."""

import re
import unicodedata
from functools import lru_cache

LONGEST = 40  # characters of a header

# What a header may say, once it has only small letters and digits: see `_plain`.
_LOSS = "e|err|error|loss|cost|j"
_TOTAL = "t|tot|total"
_GRADIENT = "grad(?:ient)?|nabla|partial|g"
_WEIGHT = "w(?:eight)?"
_ACTIVATION = "a|out|act|activation|sigma|sigmoid|sig|s"
HEADERS = [
    ("epoch", "(?:epochs?|iteration|iter|step)(?:no|nr|number)?|nr"),
    ("eta", "eta|lr|learningrate|learnrate|rate|alpha|stepsize"),
    (r"t\1", r"(?:t|y|target|targeto|targ)([12])"),
    (r"i\1", r"(?:i|x|in|input|inp)([12])"),
    (r"w\1", rf"{_WEIGHT}([1-8])"),
    (r"\1\2", r"(?:net|in|z)?([ho])([12])"),
    (r"\1\2", r"([ho])([12])(?:net|in)"),
    (r"a_\1\2", rf"(?:{_ACTIVATION})([ho])([12])"),
    (r"a_\1\2", rf"([ho])([12])(?:{_ACTIVATION})"),
    (r"E\1", rf"(?:{_LOSS})o?([12])"),
    ("E_total", rf"(?:{_LOSS})(?:{_TOTAL})?|(?:total|tot|sum|sumof)(?:{_LOSS})s?"),
    (r"∂E/∂w\1", rf"(?:d?(?:{_LOSS})(?:{_TOTAL})?d?|d|(?:{_GRADIENT})(?:of)?){_WEIGHT}([1-8])"),
    (r"∂E/∂w\1", rf"{_WEIGHT}([1-8])(?:{_GRADIENT})"),
    (r"∂E/∂w\1", rf"delta(?:{_LOSS})(?:{_TOTAL})?delta{_WEIGHT}([1-8])"),
]
SIGNS = {
    "∂": "d", "Δ": "delta", "δ": "d", "ð": "d", "∇": "nabla", "σ": "sigma", "α": "alpha",
    "ŷ": "ao", "η": "eta", "ͷ": "eta", "ƞ": "eta", "ɳ": "eta", "ŋ": "eta",
}  # fmt: skip
# Greek and Cyrillic letters that look like Latin ones, and letters that are no accents.
LOOK_ALIKE = str.maketrans(
    "АаВЕеНһІіКМОоРрСсТтХхԝԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧοωɛεıøł",
    "AaBEeHhIiKMOoPpCcTtXxwWABEZHIKMNOPTYXoweeiol",
)
# What students write in other languages, without accents.
WORDS = {
    "input": "eingang eingabe entree entrada ingresso girdi invoer",
    "target": "ziel zielwert soll sollwert cible hedef objetivo alvo obiettivo doel",
    "weight": "gewicht poids agirlik peso",
    "net": "netto nette",
    "out": "output ausgabe ausgang sortie cikis salida saida uscita uitvoer",
    "error": "fehler erreur hata errore erro fout verlust perte perdida kayip",
    "total": "gesamt ges totale toplam totaal summe",
    "totalerror": "gesamtfehler",
    "learningrate": "lernrate taux tasa taxa tasadeaprendizaje ogrenmeorani leersnelheid",
    "epoch": "epoche epoque devir adim durchlauf schritt epoca iteracion",
    "grad": "gradyan gradiente ableitung derivee turev",
}
TRANSLATED = {word: english for english, words in WORDS.items() for word in words.split()}
# Words before a name that say what kind of thing it is: "weight w1", "net h1".
KINDS = ("input", "target", "weight", "net", "out", "totalerror", "error", "learningrate")


def _plain(text):
    """A header in small letters and digits: "∂E_total / ∂w₁" → "detotaldw1"."""
    words = re.findall(r"[a-z]+|[0-9]+", text)
    joined = "".join(words)  # "öğrenme oranı", as two words
    return TRANSLATED.get(joined) or "".join(TRANSLATED.get(word, word) for word in words)


def _latin(text):
    """Small Latin letters, without accents and look-alikes."""
    text = unicodedata.normalize("NFKC", text)  # also turns ₁ into 1
    for sign, name in SIGNS.items():
        text = text.replace(sign, name)
    text = unicodedata.normalize("NFKD", text.translate(LOOK_ALIKE)).lower()
    return "".join(c for c in text if not unicodedata.combining(c))


def canonical_name(text):
    """The column that a header names, in the spelling of `backprop.COLUMNS`, or None."""
    return _canonical_name(text) if isinstance(text, str) and len(text) <= LONGEST else None


@lru_cache(50_000)  # a sheet is searched several times
def _canonical_name(text):
    text, _, formula = _latin(text).partition("=")  # a_h1 = σ(h1)
    if re.fullmatch(r"[\d.,\s]+", formula):  # η = 0.5 is no header
        return None
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
    if not isinstance(text, str) or len(text) > LONGEST:
        return ()
    return _GROUPS.get(_plain(_latin(text).removesuffix("s")), ())


def forget_headers():
    """Forget the headers seen so far, so that no file's texts stay in memory."""
    _canonical_name.cache_clear()
