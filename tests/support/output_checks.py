"""What a refused command or call says, and what a folder holds."""

import os

import pytest

from sparsepix_hls.cli.main import main
from sparsepix_ops.errors import SparsePixError


def refused(capsys, *arguments):
    """The message of a command that ends with exit status 2."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err
    return shown.err


def contents(folder):
    """Each file's bytes by its path in the folder; for all else whether it is there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else os.path.lexists(path)
        for path in folder.rglob("*")
    }


def refusal(call, *arguments):
    """The message of a call that is refused."""
    with pytest.raises(SparsePixError) as error:
        call(*arguments)
    return str(error.value)


def run(capsys, *arguments):
    """Exit status and errors of the command sparsepix-hls."""
    status = main([str(a) for a in arguments])
    return status, capsys.readouterr().err
