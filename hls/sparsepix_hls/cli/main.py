"""The command ``sparsepix-hls``."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparsepix_hls.cli.arguments import Dais, Report, Translate, parse
from sparsepix_ops.system import command

# Only the standard library up here: --help has to answer at once.
if TYPE_CHECKING:
    from rich.console import Console

    from sparsepix_hls.design.user_options import Options

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
    if isinstance(arguments, Report):
        return _report(arguments)
    if isinstance(arguments, Dais):
        return _dais(arguments)
    return _explore(arguments) if arguments.explore else _run(arguments)


def _options(arguments: Translate) -> "Options":
    """The options of the design: those of the file, and over them those of the command line."""
    from dataclasses import replace

    from sparsepix_hls.design.options_file import read_options
    from sparsepix_hls.design.user_options import Options

    options = read_options(arguments.config) if arguments.config is not None else Options()
    given = dict(arguments.design)
    # One of the two replaces the other one of the file.
    for one, other in (("reuse_factor", "target_interval"), ("target_interval", "reuse_factor")):
        if one in arguments.design and other not in arguments.design:
            given[other] = None
    return replace(options, **given)


def _check_actions(arguments: Translate) -> None:
    """Refuse what the backend does not do; look for the tools before anything is written."""
    from sparsepix_ops.errors import SparsePixError

    if arguments.backend == "rtl" and arguments.csim:
        raise SparsePixError("--csim is the C simulation of --backend hls: with --backend rtl use --simulate")
    if arguments.backend == "hls":
        for action, given, instead in (
            ("--simulate", arguments.simulate, "with --backend hls use --csim, or add --backend rtl"),
            ("--synthesize", arguments.synthesize, "add --backend rtl, or run Vitis HLS in the project (build.tcl)"),
        ):
            if given:
                raise SparsePixError(f"{action} is for --backend rtl: {instead}")
    if arguments.csim:
        from sparsepix_hls.project.toolchain import find_compiler, find_make

        find_compiler()
        find_make()
    if arguments.simulate or arguments.synthesize:
        from sparsepix_hls.rtl.tools.project import find_simulator, find_synthesizer

        if arguments.simulate:
            find_simulator()
        if arguments.synthesize:
            find_synthesizer(arguments.part)


def _run(arguments: Translate) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.tables import show_estimate
    from sparsepix_hls.flow.report import read_report

    console = Console(highlight=False)
    model = Path(arguments.model)
    _check_actions(arguments)
    given = arguments.output
    target = given if given is not None else model.parent / f"{model.stem}_{arguments.backend}"
    with console.status("reading and translating the model"):
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
        )
    report = read_report(project.directory)
    show_estimate(console, report)
    for notice in (*report["notices"], *report["estimate"]["warnings"]):
        console.print(f"note: {notice}", markup=False, soft_wrap=True)
    status = _verify(console, project, arguments)
    # Not by rich: it would read ':name:' in a path as an emoji.
    print(f"project: {target}\nnext: {_next(arguments, target)}")
    return status


def _verify(console: "Console", project: Any, arguments: Translate) -> int:
    """What was asked for beside the project; the exit status."""
    wrong = 0
    if arguments.csim:
        from sparsepix_hls.flow.report import add_to_report

        with console.status("compiling and running the testbench"):
            result = project.csim()
        wrong = result.mismatches
        add_to_report(project.directory, "csim", {"events": result.events, "mismatches": wrong})
        verdict = f"C simulation: {result.events} events, {wrong} mismatching outputs"
        console.print(verdict, style="bold red" if wrong else "bold green")
    if arguments.simulate or arguments.synthesize:
        from sparsepix_hls.cli import rtl_commands as commands

        if arguments.simulate:
            wrong = commands.simulate(console, project)
        if arguments.synthesize:
            commands.synthesize(console, project)
    return EXIT_MISMATCH if wrong else EXIT_OK


def _next(arguments: Translate, target: Any) -> str:
    """The command that one would give now, to be pasted into a shell."""
    from sparsepix_ops.system.files import shell_word

    folder = shell_word(target)
    if arguments.backend == "hls":
        return f"cd {folder} && vitis-run --mode hls --tcl build.tcl" if arguments.csim else f"make -C {folder} csim"
    if not arguments.simulate:
        return f"make -C {folder} sim"
    return f"cd {folder} && vivado -mode batch -source build_vivado.tcl"


def _explore(arguments: Translate) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.pictures import exploration_figure, save
    from sparsepix_hls.cli.tables import show_points
    from sparsepix_hls.flow.explore import explore, published_point, write_points
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
        "--testbench-data": arguments.testbench_data is not None,
    }
    if any(given.values()):
        from sparsepix_ops.errors import SparsePixError

        refused = " and ".join(option for option, there in given.items() if there)
        raise SparsePixError(f"--explore makes no project: leave out {refused}")
    place = output_folder(target, "set of designs", arguments.force)
    graph = read_model(model, arguments.keep_head).graph
    points = explore(graph, _options(arguments), arguments.clock, console, arguments.backend)
    published = published_point(graph)
    show_points(console, points, published, part, graph.name)
    with atomic_directory(place) as folder:
        write_points(folder / "designs.csv", points)
        save(exploration_figure(points, published, graph.name, arguments.clock), folder / "designs.png")
    print(f"all {len(points)} designs: {Path(target) / 'designs.csv'}, {Path(target) / 'designs.png'}")
    return EXIT_OK


def _dais(arguments: Dais) -> int:
    from pathlib import Path

    from sparsepix_hls.frontend.reader import read_model
    from sparsepix_hls.rtl.tools.dais import write_dais
    from sparsepix_ops.system.files import output_of, shell_word

    model = Path(arguments.model)
    target = output_of(model, ".json", arguments.output, b"[[")
    operations = write_dais(read_model(model).graph, target)
    print(f"{target}: {operations:,} operations; inputs are raw features and coords")
    print(f"next: da4ml convert {shell_word(target)} DIR")
    return EXIT_OK


def _report(arguments: Report) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.tables import show_estimate, show_measured, show_synthesis, show_vitis
    from sparsepix_hls.cpp.vitis_report import read_vitis
    from sparsepix_hls.flow.report import open_report

    directory = Path(arguments.project)
    report = open_report(directory)
    console = Console(highlight=False)
    if report.get("backend") == "rtl":
        show_estimate(console, report)
        show_measured(console, report)
        show_synthesis(console, report)
        return EXIT_OK
    vitis = read_vitis(directory, report["top_function"])
    show_estimate(console, report)
    show_vitis(console, report, vitis)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
