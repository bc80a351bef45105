"""The command line, thin: verb -> load -> call -> print where the result lies. Verbs import only what they need."""

from __future__ import annotations

import errno
import io
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from tinysight import __version__
from tinysight.errors import UserError, printable

__all__ = ["app", "main"]

INTERRUPTED = 130
RESUMED = {"demo", "train", "reduce", "resume", "sensitivity"}
"""Verbs that go on where they were interrupted; the others begin again."""

app = typer.Typer(
    name="tinysight",
    help="The smallest, fastest vision network that still meets your accuracy floor, measured on the file that ships.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at data before training on it.", no_args_is_help=True)
app.add_typer(data_app, name="data")

RecipeFile = Annotated[Path, typer.Argument(help="A recipe, YAML.", metavar="RECIPE.yaml")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, such as train.epochs=3.", metavar="key=value")
]


def _folder(text: str) -> Path:
    if not text:  # Path("") would be the working directory
        raise UserError("--out is empty: give a folder, or leave it out for a new one under ./runs")
    return Path(text)


Out = Annotated[
    Path | None,
    typer.Option("--out", parser=_folder, metavar="PATH", help="Folder to write; by default one under ./runs."),
]
Update = Annotated[bool, typer.Option("--update", help="Go on in a folder made with another recipe.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Let the recipe import the network it names: that code then runs.")
]
EngineName = Annotated[str, typer.Option("--engine", help="openvino or onnxruntime.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=1024, help="Engine threads; by default every usable core.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tinysight {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """What holds for every verb."""


@app.command()
def demo(out: Out = None, update: Update = False) -> None:
    """Do the whole job on drawn facades: a few minutes on two cores."""
    import tinysight.recipe as recipes

    _reduce(recipes.load_recipe(Path(__file__).parent / "demo.yaml"), out, update)


@app.command()
def train(recipe: RecipeFile, overrides: Overrides = None, out: Out = None, trust: Trust = False) -> None:
    """Train the reference of a recipe and keep its checkpoint; interrupted, the same command goes on."""
    from tinysight.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    _require_reduce_extra()
    from tinysight.verbs import train_recipe

    _make_importable(recipe, trust)
    folder, _ = train_recipe(loaded, out=out, trust=trust)
    print(f"checkpoint: {folder.resolve()}")


@app.command()
def reduce(
    recipe: RecipeFile,
    overrides: Overrides = None,
    out: Out = None,
    update: Update = False,
    trust: Trust = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print which layers can be cut, which cannot, and why.")
    ] = False,
) -> None:
    """Reduce the network of a recipe; interrupted, the same command goes on."""
    from tinysight.recipe import load_recipe

    _make_importable(recipe, trust)
    if dry_run:
        _require_reduce_extra()
        from tinysight.dry_run import print_cuttable

        print_cuttable(str(recipe), overrides or [], trust=trust)
        return
    _reduce(load_recipe(recipe, overrides or []), out, update, trust)


@app.command()
def sensitivity(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    of: Annotated[Literal["cutting", "rounding"], typer.Option(help="What is done to each layer alone.")] = "cutting",
    candidate: Annotated[
        str | None,
        typer.Option(
            help="The candidate's id, variant, 'reference' or 'best'.", show_default="reference, rounding: best"
        ),
    ] = None,
    criterion: Annotated[
        str | None, typer.Option(help="What the weakest channels are found by, as for prune.", show_default="l1")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=2, help="How many training images are looked at.", show_default="64, rounding: 8")
    ] = None,
    trust: Trust = False,
) -> None:
    """Cut every layer of a run's network alone, or round it as its int8 file does, and tell what that costs.

    Interrupted while cutting, the same command goes on.
    """
    _require_reduce_extra()
    _make_importable(run, trust)
    if of == "rounding":
        if criterion:
            raise UserError("--criterion chooses the channels to cut: leave it out with --of rounding")
        from tinysight.sensitivity.rounding import print_rounding

        picture = print_rounding(run, candidate or "best", images or 8, trust=trust)
    else:
        from tinysight.sensitivity.cutting import print_cutting

        picture = print_cutting(run, candidate or "reference", criterion or "l1", images or 64, trust=trust)
    print(f"picture: {picture.resolve()}")


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="A run's folder.")], trust: Trust = False) -> None:
    """Go on with an interrupted run, from its folder alone; with --trust, from the folder its network's code is in."""
    from tinysight.recipe import recipe_of_run

    _make_importable(run, trust)
    _reduce(recipe_of_run(run), run, False, trust)


@app.command()
def measure(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or a candidate's folder.")],
    data: Annotated[Path, typer.Option("--data", help="A run's data.json, or a recipe.")],
    split: Annotated[str, typer.Option("--split", help="Which samples score it.")] = "val",
    engine: EngineName = "openvino",
    threads: Threads = None,
    out: Out = None,
) -> None:
    """Measure a bundle again: quality, latency, memory, bytes. Needs no torch."""
    from tinysight.device import measure_bundle

    print(f"measurement: {measure_bundle(bundle, data, split, engine, threads, out)}")


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    photos: Annotated[list[str], typer.Argument(help="Photos, folders or globs.", metavar="IMAGE|FOLDER|GLOB")],
    engine: EngineName = "openvino",
    threads: Threads = None,
    out: Out = None,
) -> None:
    """Predict photos with a bundle: a mask and an overlay for each. Needs no torch."""
    from tinysight.device import predict_photos

    print(f"predictions: {predict_photos(bundle, photos, engine, threads, out)}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    candidate: Annotated[
        str, typer.Argument(help="A candidate's id or its beginning, its variant, or 'best'.", metavar="ID")
    ],
    threads: Threads = None,
    out: Out = None,
) -> None:
    """Write the bundle of any candidate of a run, with the proof that engines agree."""
    _require_reduce_extra()
    from tinysight.verbs import export_candidate

    print(f"bundle: {export_candidate(run, candidate, out, threads).resolve()}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, finished or not.", metavar="RUN...")],
    out: Annotated[
        Path, typer.Option("--out", parser=_folder, metavar="PATH", help="Folder to write comparison.html, .csv, .png.")
    ] = Path("comparison"),
) -> None:
    """Put several runs into one table and one chart, and say what of them cannot be compared."""
    _require("jinja2", "matplotlib")
    from tinysight.report.compare import compare_runs

    print(f"comparison: {compare_runs(runs, out)}")


@app.command()
def draw(
    what: Annotated[
        str, typer.Argument(help="A recipe, a row of 'list models', or a candidate's folder.", metavar="MODEL")
    ],
    overrides: Overrides = None,
    out: Out = None,
    trust: Trust = False,
) -> None:
    """Draw a network and list its layers; of a reduced one, before and after, what was cut in colour."""
    _require_reduce_extra()
    from tinysight.drawing import draw_network

    _make_importable(Path(what), trust)
    print(f"drawing: {draw_network(what, overrides or [], out, trust=trust)}")


@data_app.command("check")
def data_check(recipe: RecipeFile, overrides: Overrides = None, out: Out = None) -> None:
    """Count the samples of a recipe's data, draw a contact sheet, and find what is broken."""
    from tinysight.device import check_data

    _keep_torch_tidy()  # the preview of augmentation uses it, where it is installed
    print(f"contact sheet: {check_data(recipe, overrides or [], out)}")


@data_app.command("convert")
def data_convert(
    recipe: RecipeFile,
    to: Annotated[str, typer.Option("--to", help="masks, yolo, coco or voc.")],
    out: Annotated[Path, typer.Option("--out", parser=_folder, metavar="PATH", help="Folder to write, new or empty.")],
    overrides: Overrides = None,
) -> None:
    """Write the data of a recipe in another form; prints the data section that reads it."""
    from tinysight.device import convert_data

    print(f"data: {convert_data(recipe, overrides or [], to, out)}")


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="Which table.", metavar="models|reductions|readers|engines")],
    task: Annotated[str | None, typer.Option("--task", help="Only models of this task.")] = None,
    max_params: Annotated[
        str | None, typer.Option("--max-params", metavar="N", help="Only models with at most so many, such as 5M.")
    ] = None,
) -> None:
    """List the rows of a table."""
    from tinysight.tables import print_rows

    print_rows(what, task, max_params)


@app.command()
def doctor() -> None:
    """Print versions, what this processor can do, and what each means here."""
    from tinysight.tables import print_doctor

    print_doctor()


def main() -> None:
    """Run the command line; mistakes end in one message and exit code 2, an interruption in 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale without UTF-8 must not end a run
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a machine that shuts down asks as politely as Ctrl-C
    arguments = sys.argv[1:] if sys.argv[1:] not in ([], ["data"]) else [*sys.argv[1:], "--help"]
    try:
        # Without standalone mode typer returns the code to end with, also of an interruption, instead of raising.
        code = app(arguments, prog_name="tinysight", standalone_mode=False)
    except UserError as error:
        _stop(str(error))
    except typer.Abort:
        code = INTERRUPTED
    except OSError as error:
        _stop(_system_message(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own complaints about the command line have it
            raise
        _stop(f"{error.format_message()}; see 'tinysight --help'")
    if code == INTERRUPTED:
        goes_on = (
            ": nothing finished is lost, and the same command goes on from here" if arguments[0] in RESUMED else ""
        )
        print(f"\nstopped{goes_on}", file=sys.stderr)
    if code:
        sys.exit(code)


def _make_importable(what: Path, trust: bool) -> None:
    """Let a trusted recipe import modules beside it, as a script can; a folder, those of the working directory."""
    if trust:
        sys.path.insert(0, str((what.parent if what.is_file() else Path()).absolute()))


def _reduce(recipe: Any, out: Path | None, update: bool, trust: bool = False) -> None:
    _require_reduce_extra()
    from tinysight.report.headline import headline
    from tinysight.report.terminal import print_checks, print_headline, print_table
    from tinysight.verbs import reduce_recipe

    result = reduce_recipe(recipe, out=out, update=update, trust=trust)
    metric = result.best.quality.metric if result.best.quality else ""
    print_table(result.records, metric)
    reference = next(record for record in result.records if record.verdict == "reference")
    print_headline(headline(reference, result.best, result.summary))
    print_checks(result.summary)
    print(f"bundle: {result.bundle.resolve()}")
    print(f"report: {result.report.resolve()}")


def _keep_torch_tidy() -> None:
    """Spare the cache folder that torch makes for a compiler never called here: it is told of one that exists."""
    import os
    import tempfile

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir())


def _require_reduce_extra() -> None:
    _keep_torch_tidy()
    _require("torch", "safetensors", "onnx", "nncf", "jinja2", "matplotlib")


def _require(*names: str) -> None:
    from importlib.util import find_spec

    if missing := [name for name in names if find_spec(name) is None]:
        raise UserError(f"this verb needs {', '.join(missing)}: run pip install 'tinysight[reduce]'")


def _system_message(error: OSError) -> str:
    """Say what the operating system refused, and what to do about it."""
    advice = {
        errno.ENOSPC: "free some space or choose another --out; the same command then goes on",
        errno.EDQUOT: "free some space or choose another --out; the same command then goes on",
        errno.EACCES: "choose a folder you may write, with --out",
        errno.EPERM: "choose a folder you may write, with --out",
        errno.EROFS: "choose a folder you may write, with --out",
    }
    what = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"{what[0].lower()}{what[1:]}{where}: {advice.get(error.errno or 0, 'check the path')}"


def _stop(message: str) -> NoReturn:
    print(f"tinysight: {printable(message)}", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(2)


if __name__ == "__main__":
    main()
