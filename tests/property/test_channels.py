"""Channel names and vocabularies, for any montage."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from unimontage.montage.names import KNOWN, SYNONYMS, canonical, canonical_channels, derivation
from unimontage.montage.schema import Vocabulary

electrodes = st.sampled_from(sorted(KNOWN))
montages = st.lists(electrodes, min_size=1, max_size=20, unique=True)
corpora = st.lists(montages, min_size=1, max_size=4)
recorders = st.sampled_from(["{}", "EEG {}", "EEG {}-REF", "EEG {}-LE", "{}.", "{}..", " {} "])


@given(electrodes, recorders, st.booleans())
def test_decoration_does_not_change_an_electrode(name, recorder, lower):
    spelling = recorder.format(name.lower() if lower else name)
    reference = name in {"A1", "A2", "M1", "M2"} and "-" in recorder
    assert reference or canonical(spelling) == name


@given(electrodes, electrodes, recorders, st.booleans())
def test_decoration_does_not_change_a_derivation(first, second, recorder, lower):
    pair = f"{first}-{second}"
    if derivation(pair):
        assert canonical(recorder.format(pair.lower() if lower else pair)) == pair
        assert canonical_channels([pair, first, second], "m") == (pair, first, second)


@given(st.text(max_size=12) | st.lists(electrodes, min_size=1, max_size=3).map("-".join))
@example("-A1-A1")
@example("C3-A1-A1")
@example("-REF")
def test_spelling_canonically_twice_changes_nothing(name):
    assert canonical(canonical(name)) == canonical(name)


@given(montages)
def test_no_old_name_survives(montage):
    assert not set(canonical_channels(montage, "m")) & set(SYNONYMS)


@given(corpora, st.randoms())
def test_a_vocabulary_does_not_depend_on_the_order_of_datasets_or_channels(corpus, random):
    shuffled = [random.sample(montage, len(montage)) for montage in random.sample(corpus, len(corpus))]
    assert Vocabulary.union(corpus) == Vocabulary.union(shuffled)


@given(corpora)
def test_every_channel_of_the_corpus_has_an_index_and_no_two_share_one(corpus):
    vocabulary = Vocabulary.union(corpus)
    for montage in corpus:
        index = vocabulary.index(montage)
        assert (index > 0).all()
        assert len(set(index.tolist())) == len(montage)
    assert np.array_equal(vocabulary.index(vocabulary.names), np.arange(1, len(vocabulary) + 1))


@given(corpora, montages)
def test_what_all_montages_share_is_in_each_of_them(corpus, common):
    corpus = [[*common, *(name for name in montage if name not in common)] for montage in corpus]
    shared = set(Vocabulary.intersection(corpus).names)
    assert set(common) <= shared
    assert all(shared <= set(montage) for montage in corpus)


@given(corpora)
def test_a_vocabulary_survives_its_list(corpus):
    vocabulary = Vocabulary.union(corpus)
    assert Vocabulary.from_list(vocabulary.to_list()) == vocabulary
