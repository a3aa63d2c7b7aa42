"""Groups of documents: all of them, in order, lazily, and never much at a time."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from bytespan.runtime.batching import MAX_GROUP_BYTES, MAX_GROUP_DOCUMENTS, group_documents
from bytespan.spans import Document


def documents(sizes: list[int]) -> list[Document]:
    return [Document(b"x" * size, identifier=number) for number, size in enumerate(sizes)]


sizes = st.lists(st.one_of(st.integers(0, 100), st.integers(MAX_GROUP_BYTES - 2, MAX_GROUP_BYTES + 2)), max_size=60)


@given(sizes)
def test_groups_hold_every_document_in_order(sizes: list[int]) -> None:
    given_documents = documents(sizes)
    groups = list(group_documents(given_documents))
    assert [document for group in groups for document in group] == given_documents
    assert all(groups)


@given(sizes)
def test_only_the_last_document_of_a_group_may_cross_the_limit(sizes: list[int]) -> None:
    for group in group_documents(documents(sizes)):
        assert sum(len(document.data) for document in group[:-1]) < MAX_GROUP_BYTES


def test_groups_grow_from_one_document_to_the_limit() -> None:
    lengths = [len(group) for group in group_documents(documents([1] * 3000))]
    assert lengths == [1, 4, 16, 64, 256, 1024, 1024, 611]
    assert max(lengths) == MAX_GROUP_DOCUMENTS


def test_groups_are_full_at_once_where_that_is_asked_for() -> None:
    groups = group_documents(documents([1] * 1500), first=MAX_GROUP_DOCUMENTS)
    assert [len(group) for group in groups] == [1024, 476]


def test_group_is_read_when_it_is_asked_for() -> None:
    read = []

    def source() -> Iterator[Document]:
        for document in documents([1] * 10):
            read.append(document.identifier)
            yield document

    groups = group_documents(source())
    assert read == []
    next(groups)
    assert read == [0]
    next(groups)
    assert read == [0, 1, 2, 3, 4]
