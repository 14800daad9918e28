"""What tests/tools/interrupts.py interrupts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command, and the folder that it is run in.

    Args:
        words: module to run with 'python -m', and its arguments.
        target: what it writes; empty: nothing.
        before: commands that were run in the folder before.
        stage: a command whose result may be found too, as the translation without its simulation.
        stop_before: the last command before is a training: interrupt it in the middle.
        grows: what the target holds differs from run to run, so its content is not compared.
    """

    words: tuple[str, ...]
    target: str
    before: tuple[tuple[str, ...], ...] = ()
    stage: tuple[str, ...] = ()
    stop_before: bool = False
    grows: bool = False

    @property
    def trains(self) -> bool:
        return self.words[0] == _TRAIN[0]


EXPORT = ("sparsepix.cli.export", "model.pt", "-o", "out.onnx")
_HLS = ("sparsepix_hls.cli.main", "tiny.onnx", "-o", "out")
_RTL = (*_HLS, "--backend", "rtl")
_EXPLORE = ("sparsepix_hls.cli.main", "tiny.onnx", "--explore", "-o", "designs")
_TRAIN = ("sparsepix.cli.train", "digits", "--selection", "magnitude", "--device", "cpu", "--batch-size", "64",
          "--epochs", "3", "-o", "run")  # fmt: skip
_OTHER_TRAINING = (*_TRAIN[:-3], "1", "-o", "run")
_OLD = ((*_HLS, "--clock", "7"),)
COMMANDS = {
    "export": Command(EXPORT, "out.onnx"),
    "export over a file": Command(EXPORT, "out.onnx", (("sparsepix.cli.export", "other.pt", "-o", "out.onnx"),)),
    "hls": Command(_HLS, "out"),
    "hls --force": Command((*_HLS, "--force"), "out", _OLD),
    "hls --csim": Command((*_HLS, "--csim"), "out", stage=_HLS),
    "rtl": Command(_RTL, "out"),
    "rtl --force": Command((*_RTL, "--force"), "out", _OLD),
    "rtl --simulate": Command((*_RTL, "--simulate"), "out", stage=_RTL),
    "rtl --synthesize": Command((*_RTL, "--synthesize"), "out", stage=_RTL),
    "explore": Command(_EXPLORE, "designs"),
    "explore --force": Command((*_EXPLORE, "--force"), "designs", ((*_EXPLORE, "--clock", "7"),)),
    "dais": Command(("sparsepix_hls.cli.main", "dais", "tiny.onnx", "-o", "out.json"), "out.json"),
    "report": Command(("sparsepix_hls.cli.main", "report", "out"), "out", (_HLS,)),
    "train": Command(_TRAIN, "run"),
    "train on": Command(_TRAIN, "run", (_TRAIN,), stop_before=True),
    "train --force": Command((*_TRAIN, "--force"), "run", (_OTHER_TRAINING,)),
    "search": Command((*_OTHER_TRAINING, "--search", "2"), "run", grows=True),
}
