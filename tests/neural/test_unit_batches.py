"""Training batches of the parallel decoder: what is drawn, its gold tags, and what byte dropout hides."""

from dataclasses import replace

import numpy as np
import pytest

from bytespan.config import CorpusConfig, ModelConfig, TrainConfig
from bytespan.corpora.annotated import AS_IT_IS, Annotated, annotate
from bytespan.languages import salt_of
from bytespan.neural.batches import BATCHES_PER_POOL, IGNORED
from bytespan.neural.decoders import draw_ahead
from bytespan.neural.unit_batches import STEPS_MULTIPLE, TaggedBatch, UnitSampler, ngrams_met
from bytespan.ngrams import UNKNOWN
from bytespan.spans import Document, Span
from bytespan.teaching import KEPT, Lesson
from bytespan.units import HASHES, LOWERED, PAD, PREFIXES, SALTED, SUFFIXES, WHOLE, WIDTH, cut_units, salted
from bytespan.vocabulary import DROP, Vocabulary
from neural import corpus

MODEL = ModelConfig("parallel", segment_length=16, layers=1, units=4, embedding=4, table_rows=1 << 20, table_width=2)
TRAIN = TrainConfig(batch_size=8, byte_dropout=0, unit_dropout=0, hash_dropout=0, short_fraction=0)
VOCABULARY = Vocabulary(16, corpus.LABELS)
NATURAL = (
    b"Donaudampfschifffahrtsgesellschaft \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x98\x80 caf\xc3\xa9, Anan a b c d e\n\nf "
    * 3
)


def make_sampler(members: list[Annotated] | None = None, **changes: object) -> UnitSampler:
    members = annotate(corpus.documents()) if members is None else members
    return UnitSampler(members, VOCABULARY, MODEL, replace(TRAIN, **changes))


def unannotated(data: bytes, corpus: CorpusConfig = AS_IT_IS) -> list[Annotated]:
    return annotate([Document(data, {"entities": []})], corpus)


def arrays(batch: TaggedBatch) -> list[np.ndarray]:
    units = batch.units
    taught = [array for found in batch.taught.values() for array in (found.tags, found.shares)]
    free = [] if batch.free is None else [batch.free]
    found = [
        units.rows,
        units.symbols,
        units.gaps,
        units.words,
        units.lengths,
        batch.shown,
        batch.agreement,
        *batch.gold.values(),
        *taught,
        *free,
    ]
    return [np.asarray(item) for item in found]


def same(one: TaggedBatch, other: TaggedBatch) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


def test_segments_are_units_of_a_document_with_their_gold_tags() -> None:
    sampler = make_sampler()
    known = {}
    for document in corpus.documents():
        units = cut_units(document.data)
        rows = (units.hashes % np.uint32(MODEL.table_rows)).tolist()
        tags = {task: sampler.tags.encode(document.spans[task], units, task)[0].tolist() for task in corpus.LABELS}
        for first in range(len(units)):
            for last in range(first + 1, len(units) + 1):
                gold = {task: found[first:last] for task, found in tags.items()}
                known.setdefault(str(rows[first:last]), []).append(gold)
    for step in range(5):
        batch = sampler.batch(step)
        for column, length in enumerate(batch.lengths.tolist()):
            gold = {task: tags[:length, column].tolist() for task, tags in batch.gold.items()}
            assert gold in known[str(batch.units.rows[:length, column].tolist())]
            assert all((tags[length:, column] == IGNORED).all() for tags in batch.gold.values())
        assert batch.longest == batch.lengths.max() <= len(batch.units.gaps) < batch.longest + STEPS_MULTIPLE
        assert len(batch.units.gaps) % STEPS_MULTIPLE == 0
        assert (batch.shown == 1).all()
        assert batch.free is None


def counted_lessons(members: list[Annotated]) -> list[dict[str, Lesson]]:
    """Lessons in which each unit's likeliest tag tells which unit of its document it is."""
    lessons = []
    for member in members:
        units = len(cut_units(member.document.data))
        tags = np.stack([np.arange(units), np.arange(units) + 1], axis=1)
        lessons.append({"entities": Lesson(tags, np.tile([[0.75, 0.25]], (units, 1)), frozenset({"PER"}))})
    return lessons


def test_lessons_go_with_their_units_and_leave_what_is_not_taught_empty() -> None:
    taught, others = annotate(corpus.documents()), unannotated(b"Ulm Rom Ana " * 20)
    lessons = [*counted_lessons(taught), {}]
    sampler = UnitSampler(taught + others, VOCABULARY, MODEL, replace(TRAIN, balance=0.5), lessons)
    place_of: dict[int, set[int]] = {}
    for member in taught:
        for place, row in enumerate((cut_units(member.document.data).hashes[:, 0] % MODEL.table_rows).tolist()):
            place_of.setdefault(row, set()).add(place)
    kinds = set()
    for step in range(5):
        batch = sampler.batch(step)
        if not batch.taught:
            continue
        assert set(batch.taught) == {"entities"}
        tags, shares = batch.taught["entities"].tags, batch.taught["entities"].shares
        assert tags.shape == shares.shape == (*batch.units.gaps.shape, KEPT)
        for column, length in enumerate(batch.lengths.tolist()):
            is_taught = bool((batch.gold["tokens"][:length, column] != IGNORED).any())
            kinds.add(is_taught)
            assert (shares[:length, column, 0] == (0.75 if is_taught else 0)).all()
            assert not shares[length:, column].any()
            assert not shares[:, column, 2:].any()
            if is_taught:
                rows = batch.units.rows[:length, column, 0].tolist()
                assert all(tag in place_of[row] for tag, row in zip(tags[:length, column, 0], rows, strict=True))
                assert (np.diff(tags[:length, column, 0]) == 1).all()
    assert kinds == {True, False}


def test_labels_that_teachers_know_are_not_free() -> None:
    members = annotate([Document(b"Bo saw Ulm.", {"entities": [Span(7, 10, "LOC")]})])
    taught = UnitSampler(members, VOCABULARY, MODEL, TRAIN, counted_lessons(members)).batch(0)
    alone = UnitSampler(members, VOCABULARY, MODEL, TRAIN).batch(0)
    assert taught.free is None
    assert alone.free is not None


def test_lessons_must_be_as_many_as_documents() -> None:
    with pytest.raises(ValueError, match="shorter"):
        UnitSampler(annotate(corpus.documents()), VOCABULARY, MODEL, TRAIN, [{}])


def test_segments_are_as_long_as_they_may_be() -> None:
    sampler = make_sampler(unannotated(b"abc de f, " * 50))
    for step in range(5):
        batch = sampler.batch(step)
        assert batch.bytes_read <= MODEL.segment_length * TRAIN.batch_size
        assert batch.bytes_read > 0.7 * MODEL.segment_length * TRAIN.batch_size


def test_short_segments_are_drawn_as_often_as_asked_for() -> None:
    batches = [make_sampler(unannotated(b"a " * 200), short_fraction=0.5).batch(step) for step in range(30)]
    lengths = np.concatenate([batch.lengths for batch in batches])
    assert 0.35 < (lengths < 8).mean() < 0.6
    assert lengths.max() == 8


def test_every_unit_is_drawn_about_as_often() -> None:
    """Those at the ends of a text more, since segments are moved to lie inside."""
    data = b" ".join(b"%d" % number for number in range(100))
    sampler = make_sampler(unannotated(data))
    counts: dict[int, int] = {}
    for step in range(200):
        batch = sampler.batch(step)
        for row in batch.units.rows[..., 0][batch.units.words >= 0].tolist():
            counts[row] = counts.get(row, 0) + 1
    assert len(counts) == 100
    values = sorted(counts.values())
    assert values[0] > 0.3 * values[50]
    assert values[90] < 1.6 * values[50]
    assert values[-1] < 3 * values[50]


def test_other_processes_draw_the_same_batches() -> None:
    sampler = make_sampler(byte_dropout=0.3, hash_dropout=0.2)
    steps = range(BATCHES_PER_POOL + 3, 3 * BATCHES_PER_POOL + 2)
    drawn = list(draw_ahead(sampler, steps, workers=2))
    assert all(same(batch, sampler.batch(step)) for step, batch in zip(steps, drawn, strict=True))


def test_unit_longer_than_a_segment_is_one_of_its_own() -> None:
    batch = make_sampler(unannotated(b"x" * 40)).batch(0)
    assert batch.lengths.tolist() == [1] * TRAIN.batch_size


def test_same_step_gives_the_same_batch_whatever_was_drawn_before() -> None:
    changes = {
        "byte_dropout": 0.3,
        "unit_dropout": 0.1,
        "hash_dropout": 0.2,
        "word_dropout": 0.1,
        "short_fraction": 0.3,
    }
    running, fresh = make_sampler(**changes), make_sampler(**changes)
    steps = [0, 1, BATCHES_PER_POOL - 1, BATCHES_PER_POOL, 3 * BATCHES_PER_POOL + 1]
    batches = [running.batch(step) for step in range(max(steps) + 1)]
    assert all(same(fresh.batch(step), batches[step]) for step in reversed(steps))
    assert not same(batches[0], batches[1])
    assert not same(make_sampler(**changes, seed=2).batch(0), batches[0])


def test_rows_of_a_batch_are_its_segments() -> None:
    members = annotate(corpus.documents())
    batch = UnitSampler(members, VOCABULARY, MODEL, replace(TRAIN, byte_dropout=0.3), counted_lessons(members)).batch(0)
    assert len(arrays(batch)) == 11
    halves = [batch.rows(slice(0, 3)), batch.rows(slice(3, 8))]
    for whole, *parts in zip(arrays(batch), *map(arrays, halves), strict=True):
        assert np.array_equal(np.concatenate(parts, axis=min(whole.ndim - 1, 1)), whole)


def test_byte_dropout_hides_exactly_the_hashes_that_hold_a_dropped_byte() -> None:
    """Against a slow look at each byte; of a unit longer than WIDTH, bytes that are not seen cannot be dropped."""
    sampler = make_sampler(unannotated(NATURAL), byte_dropout=0.2)
    words = {}
    units = cut_units(NATURAL)
    for place, start in enumerate(units.starts.tolist()):
        words[int(units.hashes[place, 0]) % MODEL.table_rows] = NATURAL[start : units.ends[place]].decode()
    seen, hidden = 0, 0
    for step in range(40):
        batch = sampler.batch(step)
        for column, length in enumerate(batch.lengths.tolist()):
            for place in range(length):
                word = words[int(batch.units.rows[place, column, 0])]
                symbols = batch.units.symbols[place, column].tolist()
                dropped = {i for i, symbol in enumerate(symbols) if symbol == DROP}
                size = len(word.encode())
                if size > WIDTH:
                    dropped = {i if i < WIDTH // 2 else i + size - WIDTH for i in dropped}
                hashed = [range(size)] * WHOLE
                hashed += [range(len(word[:count].encode())) for count in PREFIXES]
                hashed += [range(size - len(word[-count:].encode()), size) for count in SUFFIXES]
                expected = [dropped.isdisjoint(places) for places in hashed]
                assert (batch.shown[place, column] > 0).tolist() == expected
                seen, hidden = seen + sum(expected), hidden + HASHES - sum(expected)
    assert min(seen, hidden) > 1000


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_dropout_hides_about_as_much_as_asked_for(rate: float) -> None:
    members = unannotated(NATURAL)
    kinds = {"byte_dropout": 0, "unit_dropout": 0, "hash_dropout": 0}
    shares = {}
    for kind in kinds:
        batches = [make_sampler(members, **{**kinds, kind: rate}).batch(step) for step in range(40)]
        symbols = np.concatenate([b.units.symbols[b.units.words >= 0] for b in batches])
        shown = np.concatenate([b.shown[b.units.words >= 0] > 0 for b in batches])
        shares[kind] = ((symbols == DROP).sum() / (symbols != PAD).sum(), 1 - shown.mean())
        if kind == "unit_dropout":
            gone = ((symbols == DROP) | (symbols == PAD)).all(axis=1)
            assert (shown[~gone].all(), shown[gone].any()) == (True, False)
    assert shares["byte_dropout"][0] == pytest.approx(rate, rel=0.15)
    assert shares["unit_dropout"] == pytest.approx((rate, rate), rel=0.3)
    assert shares["hash_dropout"] == pytest.approx((0, rate), rel=0.15)


def test_word_dropout_hides_a_whole_word_wherever_a_segment_has_it_and_leaves_its_edges_and_shape() -> None:
    sampler = make_sampler(unannotated(b"Rom rom Ulm " * 9), word_dropout=0.4)
    hidden = list[bool]()
    for batch in map(sampler.batch, range(20)):
        shown = batch.shown > 0
        for column, length in enumerate(batch.lengths.tolist()):
            words = batch.units.words[:length, column]
            for word in set(words.tolist()):
                whole = shown[:length, column, : WHOLE - 1][words == word]
                assert whole.all() or not whole.any()
                hidden.append(not whole.any())
        assert shown[..., WHOLE - 1 :][batch.units.words >= 0].all()
        assert (batch.units.symbols != DROP).all()
    assert 0.3 < np.mean(hidden) < 0.5


def test_hashes_add_up_to_as_much_as_in_use_whatever_is_dropped() -> None:
    """A model that saw 0.6 of its rows' sum in training and all of it in use lost 0.5 to 4 points by that."""
    for changes in (
        {"hash_dropout": 0.4},
        {"word_dropout": 0.4},
        {"byte_dropout": 0.1, "unit_dropout": 0.1, "hash_dropout": 0.3},
    ):
        sampler = make_sampler(unannotated(NATURAL), **changes)
        for batch in map(sampler.batch, range(10)):
            seen = batch.shown[batch.units.words >= 0]
            assert seen.mean() == pytest.approx(1, rel=1e-5)
            assert len(np.unique(seen)) == 2  # hidden, or as much as any other
    hardly_seen = make_sampler(unannotated(NATURAL), unit_dropout=0.999).batch(0).shown
    assert hardly_seen.max() <= HASHES


def test_dropout_leaves_what_is_the_same_word_alone() -> None:
    batch = make_sampler(unannotated(b"Rom rom Ulm " * 9), byte_dropout=0.5).batch(0)
    for column, length in enumerate(batch.lengths.tolist()):
        lower = {0: [], 1: []}
        for word, row in zip(
            batch.units.words[:length, column], batch.units.rows[:length, column, LOWERED], strict=True
        ):
            lower[int(word)].append(int(row))
        assert all(len(set(rows)) <= 1 for rows in lower.values())


def test_labels_that_a_corpus_does_not_annotate_are_free_in_its_segments_only() -> None:
    people = annotate([Document(b"Ana saw Rom.", {"entities": [Span(0, 3, "PER")]})])
    places = annotate([Document(b"Bo saw Ulm.", {"entities": [Span(7, 10, "LOC")], "tokens": []})])
    sampler = make_sampler(people + places)
    first = int(cut_units(b"Ana").hashes[0, 0]) % MODEL.table_rows
    kinds = set()
    for step in range(5):
        batch = sampler.batch(step)
        assert batch.free is not None
        for column in range(TRAIN.batch_size):
            names = {meaning for meaning, free in zip(sampler.tags.meanings(), batch.free[column], strict=True) if free}
            length = batch.lengths[column]
            if first in batch.units.rows[:, column, 0]:
                assert names == {("entities", "B-LOC"), ("entities", "I-LOC")}
                assert (batch.gold["tokens"][:, column] == IGNORED).all()  # the task is not annotated at all
            else:
                tokens = {("tokens", f"{place}-{label}") for label in corpus.LABELS["tokens"] for place in "BI"}
                assert names == {("entities", "B-PER"), ("entities", "I-PER")} | tokens
                assert (batch.gold["tokens"][:length, column] == 0).all()
            kinds.add(len(names))
    assert kinds == {2, 8}


def test_units_of_spans_that_no_tags_can_tell_are_ignored_and_counted() -> None:
    members = annotate([Document(b"Ana saw Rom", {"entities": [Span(1, 3, "PER"), Span(8, 11, "LOC")]})])
    sampler = make_sampler(members)
    assert sampler.untold == 1
    batch = sampler.batch(0)
    found = {tuple(batch.gold["entities"][: batch.lengths[column], column].tolist()) for column in range(8)}
    assert found == {(IGNORED, 0, 1)}


def test_balance_draws_small_corpora_more_often() -> None:
    small = annotate([Document(b"a " * 8, {"entities": []})])
    large = annotate([Document(b"b " * 800, {"entities": []})])
    row = int(cut_units(b"a").hashes[0, 0]) % MODEL.table_rows
    shares = []
    for balance in (0, 0.5):
        batches = [make_sampler(small + large, balance=balance).batch(step) for step in range(60)]
        shares.append(np.mean(np.concatenate([b.units.rows[0, :, 0] == row for b in batches])))
    assert shares[0] == pytest.approx(1 / 101, abs=0.015)
    assert shares[1] == pytest.approx(1 / 11, abs=0.04)


def test_documents_without_annotation_or_units_are_left_out() -> None:
    members = annotate([Document(b"no task", {}), Document(b" \n", {"entities": []}), Document(b"x", {"entities": []})])
    assert len(make_sampler(members).sources) == 1


def test_segments_are_told_their_language_but_for_some() -> None:
    model = replace(MODEL, languages=("de", "en"))
    members = annotate(corpus.documents(), CorpusConfig(language="de"))
    plain, told, mixed = (
        UnitSampler(members, VOCABULARY, shape, replace(TRAIN, language_dropout=dropout)).batch(0).units.rows
        for shape, dropout in ((MODEL, 0.0), (model, 0.0), (model, 0.5))
    )
    shared = np.setdiff1d(np.arange(HASHES), SALTED)
    assert np.array_equal(plain[..., shared], told[..., shared])
    assert (plain != told).any(axis=(0, 2)).all()
    assert 0 < (plain[: len(mixed)] != mixed[: len(plain)]).any(axis=(0, 2)).sum() < TRAIN.batch_size


def test_language_that_the_model_does_not_know_is_not_told() -> None:
    members = annotate(corpus.documents(), CorpusConfig(language="xx"))
    model = replace(MODEL, languages=("de", "en"))
    found = UnitSampler(members, VOCABULARY, model, TRAIN).batch(0)
    assert same(found, make_sampler().batch(0))


def test_segments_of_a_corpus_that_is_to_agree_are_read_twice_side_by_side_with_other_bytes_dropped() -> None:
    """An even number of rows is two by two of the same segment or of none, so that processes can share a batch."""
    texts = [
        annotate([Document(b"a bb ccc dddd e " * 9, {"entities": []})], CorpusConfig(agreement=0.5)),
        unannotated(NATURAL),
    ]
    members = [member for found in texts for member in found]
    batches = make_sampler(members, byte_dropout=0.3, hash_dropout=0.3, short_fraction=0.5).pool(0)
    assert {tuple(batch.agreement[::2]) for batch in batches} == {(0.0,) * 4}
    assert {weight for batch in batches for weight in batch.agreement} == {0.0, 0.5}
    differ = False
    for batch in batches:
        for row in np.flatnonzero(batch.agreement):
            for one in (batch.units.words, batch.units.gaps, batch.lengths, *batch.gold.values()):
                assert np.array_equal(one[..., row - 1], one[..., row])
            differ |= not np.array_equal(batch.shown[:, row - 1], batch.shown[:, row])
    assert differ


def test_a_corpus_that_need_not_agree_is_read_once() -> None:
    assert not any(batch.agreement.any() for batch in make_sampler().pool(0))


def test_heavier_corpus_is_drawn_more_often() -> None:
    heavy = unannotated(b"a " * 100, CorpusConfig(weight=9.0))
    sampler = make_sampler(heavy + unannotated(b"b " * 100), short_fraction=0)
    letters = [chr(batch.units.symbols[0, i, 0]) for n in range(40) for batch in [sampler.batch(n)] for i in range(8)]
    assert 0.8 < letters.count("a") / len(letters) < 0.97


KNOWING = replace(MODEL, known_bits=1 << 20)


def known_in(text: bytes, members: list[Annotated], *, language: str = "", **changes: object) -> np.ndarray:
    """(U, HASHES) which hashes of a text in a language are known after training on the members."""
    model = replace(KNOWING, languages=("de", "en"))
    units = cut_units(text)
    salt = np.array([salt_of(language) if language else 0], np.uint32)
    found = ngrams_met(members, model, replace(TRAIN, **changes))
    assert found is not None
    return found.holds(salted(units, salt).hashes)


def test_ngrams_of_two_different_lines_are_known() -> None:
    """Lines that differ in spaces alone are one, whether in one document or in two."""
    members = unannotated(b"Ulm , no\nUlm, no\nRom, no\n\nRom yes") + unannotated(b"Ulm ,no")
    assert known_in(b"Rom", members).all()
    assert not known_in(b"Ulm", members)[0, :3].any()
    assert known_in(b"Ulm", members, least_lines=1).all()
    assert not known_in(b"Rom", members, least_lines=3)[0, :3].any()
    assert ngrams_met(members, MODEL, TRAIN) is None


def test_lines_of_copies_do_not_make_an_ngram_known() -> None:
    copies = unannotated(b"Ulm yes\nUlm no\nRom yes\nRom no", CorpusConfig(copies=True))
    members = unannotated(b"Rom yes\nRom no") + copies
    assert known_in(b"Rom", members).all()
    assert not known_in(b"Ulm", members)[0, :3].any()


def test_a_long_line_counts_as_several() -> None:
    assert known_in(b"Ulm", unannotated(b"Ulm x y z " * 100)).all()
    assert not known_in(b"Ulm", unannotated(b"Ulm x y z " * 20))[0, :3].any()


def test_salted_hashes_are_known_in_their_language_and_untold_ones_where_lines_are_not_told() -> None:
    members = unannotated(b"\n".join(b"Rom %d" % i for i in range(30)), CorpusConfig(language="de"))
    shared = np.setdiff1d(np.arange(HASHES), SALTED)
    assert known_in(b"Rom", members, language="de").all()
    assert known_in(b"Rom", members, language="en")[0, shared].all()
    assert not known_in(b"Rom", members, language="en")[0, SALTED].any()
    assert known_in(b"Rom", members, language_dropout=0.1).all()
    assert not known_in(b"Rom", members, language_dropout=0.05)[0, SALTED].any()
    assert not known_in(b"Rom", members, language_dropout=0.0)[0, SALTED].any()


def test_batches_hide_unknown_ngrams() -> None:
    members = unannotated(b"Rom Ulm\nRom Bonn")
    known = ngrams_met(members, KNOWING, TRAIN)
    assert known is not None
    batch = UnitSampler(members, VOCABULARY, KNOWING, TRAIN, known=known).batch(0).units
    plain = UnitSampler(members, VOCABULARY, KNOWING, TRAIN).batch(0).units
    assert (batch.rows == UNKNOWN).any()
    assert (batch.rows >= 0).any()
    assert np.array_equal(batch.rows, np.where(batch.rows == UNKNOWN, UNKNOWN, plain.rows))
    words = {bytes(s[s < 256].astype(np.uint8)): rows for s, rows in zip(
        batch.symbols.reshape(-1, WIDTH), batch.rows.reshape(-1, HASHES), strict=True)}  # fmt: skip
    assert (words[b"Rom"] >= 0).all()
    assert (words[b"Ulm"][:3] == UNKNOWN).all()
