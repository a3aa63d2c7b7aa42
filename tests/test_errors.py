"""The tree of errors."""

import pytest

from bytespan import errors
from bytespan.errors import BytespanError, MissingExtra, import_extra


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.CorpusError, ValueError),
        (errors.LabelError, ValueError),
        (errors.ModelError, OSError),
        (errors.WorkerError, RuntimeError),
        (errors.MissingExtra, ImportError),
    ],
)
def test_each_error_is_ours_and_the_builtin_that_a_caller_expects(
    kind: type[BytespanError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, BytespanError)
    assert issubclass(kind, builtin)


KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_every_error_prints_its_message_as_it_is() -> None:
    message = "file.txt:3: 'x' is wrong: do y"
    assert len(KINDS) >= 6
    assert {str(kind(message)) for kind in KINDS.values()} == {message}


def test_every_error_is_drawn_in_the_docstring() -> None:
    assert errors.__doc__ is not None
    assert [name for name in KINDS if name not in errors.__doc__] == []


def test_import_extra_gives_the_module_or_names_the_extra() -> None:
    assert import_extra("json", extra="train", purpose="training").dumps([1]) == "[1]"
    with pytest.raises(MissingExtra) as caught:
        import_extra("no_such_package_at_all", extra="train", purpose="training")
    assert str(caught.value) == (
        "training needs the package 'no_such_package_at_all': run `pip install 'bytespan[train]'`"
    )
