"""The command ``sparsepix-hls``."""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from sparsepix_hls.cli.arguments import Dais, Report, Translate, parse
from sparsepix_ops.system import command, tools

# Only the standard library up here: --help has to answer at once.
if TYPE_CHECKING:
    from sparsepix_hls.design.options import Options

EXIT_OK, EXIT_MISMATCH = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0, 1 if a simulation found differences, 2 on an error of the user, 128 and its number after a
        signal.
    """
    return command.run(lambda: _main(argv), leaving=argv is None)


def _main(argv: Sequence[str] | None) -> int:
    arguments = parse(list(sys.argv[1:] if argv is None else argv))
    tools.require("sparsepix-hls", "numpy", "onnx", "da4ml", "rich", "yaml", "matplotlib", "plotly")  # some only late
    if isinstance(arguments, Report):
        return _report(arguments)
    if isinstance(arguments, Dais):
        return _dais(arguments)
    return _explore(arguments) if arguments.explore else _run(arguments)


def _options(arguments: Translate) -> "Options":
    """The options of the design: those of the file, and over them those of the command line."""
    from dataclasses import replace

    from sparsepix_hls.design.options import Options
    from sparsepix_hls.design.options_file import read_options

    options = read_options(arguments.config) if arguments.config is not None else Options()
    given = dict(arguments.design)
    # One of the two replaces the other one of the file.
    for one, other in (("reuse_factor", "target_interval"), ("target_interval", "reuse_factor")):
        if one in arguments.design and other not in arguments.design:
            given[other] = None
    return replace(options, **given)


def _commands(backend: str | None) -> ModuleType:
    """What the command does with the projects of a backend; a report from before there were two is of C++."""
    if backend == "rtl":
        from sparsepix_hls.cli import rtl_commands as commands
    else:
        from sparsepix_hls.cli import hls_commands as commands
    return commands


def _run(arguments: Translate) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.tables import show_estimate
    from sparsepix_hls.flow.report import PAGE, read_report
    from sparsepix_ops.system.files import shell_word
    from sparsepix_ops.system.progress import step

    console = Console(highlight=False)
    model, commands = Path(arguments.model), _commands(arguments.backend)
    commands.check(arguments)
    given = arguments.output
    target = given if given is not None else model.parent / f"{model.stem}_{arguments.backend}"
    with step(console, "translating the model", "model translated") as now:
        now.tell("loading")
        from sparsepix_hls.flow.translation import translate
        from sparsepix_hls.project.testbench_data import load_images

        data = load_images(Path(arguments.testbench_data)) if arguments.testbench_data is not None else None
        project = translate(
            model,
            target,
            arguments.part,
            arguments.clock,
            arguments.force,
            arguments.keep_head,
            data,
            _options(arguments),
            arguments.backend,
            picture=True,
            must_fit=arguments.must_fit,
            tell=now.tell,
        )
    report = read_report(project.directory)
    show_estimate(console, report)
    for notice in (*report["notices"], *report["estimate"]["warnings"]):
        console.print(f"note: {notice}", markup=False, soft_wrap=True)
    wrong = commands.verify(console, project, arguments)
    # Not by rich: it would read ':name:' in a path as an emoji.
    print(f"project: {target}\nreport: {Path(target) / PAGE}")
    print(f"next: {commands.next_command(arguments, shell_word(target))}")
    return EXIT_MISMATCH if wrong else EXIT_OK


def _explore(arguments: Translate) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.tables import show_points
    from sparsepix_hls.flow.explore import explore, published_point, write_designs_page, write_points
    from sparsepix_hls.flow.pictures import exploration_figure, save
    from sparsepix_hls.frontend.reader import read_model
    from sparsepix_hls.project.parts import find_part
    from sparsepix_ops.system.files import atomic_directory, output_folder

    console = Console(highlight=False)
    model = Path(arguments.model)
    target = arguments.output if arguments.output is not None else model.parent / f"{model.stem}_designs"
    part = find_part(arguments.part)
    given = {
        "--csim": arguments.csim,
        "--simulate": arguments.simulate,
        "--synthesize": arguments.synthesize,
        "--place": arguments.place,
        "--testbench-data": arguments.testbench_data is not None,
        "--must-fit": arguments.must_fit,
    }
    if any(given.values()):
        from sparsepix_ops.errors import SparsePixError

        refused = " and ".join(option for option, there in given.items() if there)
        raise SparsePixError(f"--explore makes no project: leave out {refused}")
    if arguments.schedule:
        _commands(arguments.backend).check(arguments)
    place = output_folder(target, "set of designs", arguments.force)
    graph = read_model(model, arguments.keep_head).graph
    points = explore(graph, _options(arguments), arguments.clock, console, arguments.backend, part)
    if arguments.schedule:
        from sparsepix_hls.flow.scheduled_points import schedule_points

        points = schedule_points(graph, points, arguments.clock, part, console)
    published = published_point(graph)
    show_points(console, points, published, part, graph.name)
    with atomic_directory(place) as folder:
        write_points(folder / "designs.csv", points)
        save(exploration_figure(points, published, graph.name, arguments.clock), folder / "designs.png")
        words = _words_of_each(arguments, _options(arguments))
        write_designs_page(folder / "designs.html", points, published, graph.name, words, part, arguments.clock)
    files = ", ".join(str(Path(target) / name) for name in ("designs.csv", "designs.png", "designs.html"))
    print(f"all {len(points)} designs: {files}")
    return EXIT_OK


def _words_of_each(arguments: Translate, options: "Options") -> str:
    """The beginning of the command of every explored design; its own options follow."""
    from sparsepix_ops.system.files import shell_word

    words = ["sparsepix-hls", shell_word(arguments.model)]
    words += [] if arguments.part == Translate.part else ["--part", shell_word(arguments.part)]
    words += [] if arguments.clock == Translate.clock else ["--clock", f"{arguments.clock:g}"]
    words += ["--keep-head"] if arguments.keep_head else []
    # The options of single layers are in the file only.
    words += ["--config", shell_word(arguments.config)] if arguments.config is not None and options.layers else []
    return " ".join(words)


def _dais(arguments: Dais) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.frontend.reader import read_model
    from sparsepix_hls.rtl.tools.dais import write_dais
    from sparsepix_ops.system.files import output_of, shell_word
    from sparsepix_ops.system.progress import step

    model = Path(arguments.model)
    target = output_of(model, ".json", arguments.output, b"[[")
    with step(Console(highlight=False), "tracing the model", "model traced"):
        operations = write_dais(read_model(model).graph, target)
    print(f"{target}: {operations:,} operations; inputs are raw features and coords")
    print(f"next: da4ml convert {shell_word(target)} DIR")
    return EXIT_OK


def _report(arguments: Report) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.flow.report import REPORT, open_report
    from sparsepix_hls.html.report_page import PAGE, next_page, put_page
    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.system.marker import as_written

    directory = Path(arguments.project)
    report = open_report(directory)
    try:
        _commands(report.get("backend")).show(Console(highlight=False), directory, report)
        page = next_page(directory, report)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, SparsePixError) or as_written(directory / REPORT):
            raise  # it says what is wrong; or it is our mistake
        raise SparsePixError(
            f"{directory / REPORT}: expected the report as sparsepix-hls wrote it, found a changed one "
            f"({type(error).__name__}: {error}): translate the model again"
        ) from error
    try:
        if page is not None:
            put_page(directory, page)
    except SparsePixError as error:  # a project may be for reading only
        print(f"note: {error}")
        return EXIT_OK
    left = f"note: {directory / PAGE} is left as it is: it is not as SparsePix wrote it"
    print(f"report: {directory / PAGE}" if page is not None else left)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
