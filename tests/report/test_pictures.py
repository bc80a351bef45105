"""Pictures: which photos are shown, and that they are what the exported files predict."""

import io

import numpy as np
import pytest
from PIL import Image

from tinysight.data.readers import Arrays
from tinysight.data.readers.arrays import write_array_sample
from tinysight.data.source import DATA, save_data
from tinysight.errors import UserError
from tinysight.measure.quality import PerImage
from tinysight.report.pictures import LONGEST_SIDE, TYPICAL, WORST, choose_photos, galleries, write_samples
from tinysight.report.stored import stored_statistics


def scored(right: list[int]) -> PerImage:
    """Statistics of images with 100 pixels of each class, of which some are right."""
    statistics = np.array([[[hits, 100 - hits], [100 - hits, hits]] for hits in right])
    names = tuple(f"val/{number}" for number in range(len(right)))
    return PerImage(statistics, names, names)


@pytest.fixture
def show(run_folder, run_records, tiny_task):
    """Show the photos at some positions of val."""

    def shown(*positions: int, folder=run_folder):
        names = stored_statistics(run_folder, run_records[0]).names
        networks = list(zip(("reference", "reduced"), run_records, strict=True))
        return galleries(folder, tiny_task, networks, {"typical": list(positions)}, names)

    return shown


def test_what_was_lost_comes_first_where_most_was_lost(tiny_task):
    chosen = choose_photos(tiny_task, scored([90] * 20), scored([90] * 15 + [80, 50, 70, 85, 60]))
    assert chosen["lost"] == [16, 19, 17, 15]


def test_where_nothing_was_lost_nothing_is_shown_as_lost(tiny_task):
    assert "lost" not in choose_photos(tiny_task, scored([80] * 20), scored([90] * 20))


def test_the_worst_are_those_of_the_network_that_ships(tiny_task):
    chosen = choose_photos(tiny_task, scored([10, *[90] * 19]), scored([*range(80, 98), 30, 20]))
    assert chosen["worst"][:2] == [19, 18]


def test_the_worst_of_the_reference_are_shown_too(tiny_task):
    chosen = choose_photos(tiny_task, scored([90, 60, 95, 97]), scored([90, 90, 60, 90]))
    assert chosen["worst_before"] == [1, 0]


def test_typical_photos_lie_around_the_middle(tiny_task):
    typical = choose_photos(tiny_task, scored(list(range(60))), None)["typical"]
    assert len(typical) == TYPICAL and min(typical) >= 18 and max(typical) < 48


def test_without_a_reduced_network_there_is_nothing_lost(tiny_task):
    assert list(choose_photos(tiny_task, scored(list(range(20))), None)) == ["typical", "worst"]


def test_an_image_on_which_nothing_counts_is_not_chosen(tiny_task):
    statistics = scored([50, 60, 70, 80])
    statistics.statistics[1] = 0
    chosen = choose_photos(tiny_task, statistics, None)
    assert 1 not in {index for kind in chosen.values() for index in kind}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_few_photos_are_enough(tiny_task, count):
    chosen = choose_photos(tiny_task, scored(list(range(90, 90 + count))), scored(list(range(80, 80 + count))))
    assert all(index < count for kind in chosen.values() for index in kind)
    assert all(len(kind) <= max(TYPICAL, WORST) for kind in chosen.values())


def test_scores_are_those_that_were_measured(show, run_folder, run_records, tiny_task):
    panels = show(2)[0].rows[0].panels
    measured = [tiny_task.image_scores(stored_statistics(run_folder, record).statistics)[2] for record in run_records]
    assert [panel.score for panel in panels] == [None, None, *measured]


def test_a_photo_stands_beside_its_truth_and_both_predictions(show):
    assert [panel.name for panel in show(0)[0].rows[0].panels] == ["photo", "truth", "reference", "reduced"]


def test_pictures_are_data(show):
    panel = show(0)[0].rows[0].panels[0]
    assert panel.uri().startswith("data:image/jpeg;base64,")


def test_photos_that_are_gone_are_named(show, run_folder):
    (run_folder / DATA).unlink()
    with pytest.raises(UserError, match=r"data\.json does not exist"):
        show(0)


def test_large_photos_are_scaled_down(run_folder, run_records, tiny_task):
    reader = Arrays(path=run_folder / "data", classes=tiny_task.classes)
    write_array_sample(
        run_folder / "data" / "val" / "wide.npz", np.zeros((500, 1000, 3), np.uint8), np.ones((500, 1000), np.uint8)
    )
    save_data(run_folder / DATA, reader, reader.read())
    shown = galleries(run_folder, tiny_task, [("reference", run_records[0])], {"worst": [0]}, ["val/wide"])
    assert {panel.picture.shape for panel in shown[0].rows[0].panels} == {(LONGEST_SIDE // 2, LONGEST_SIDE, 3)}


def test_samples_are_pictures_side_by_side(show, run_folder):
    write_samples(run_folder, show(0, 1))
    files = sorted((run_folder / "samples").glob("*.jpg"))
    assert len(files) == 2
    width, height = Image.open(io.BytesIO(files[0].read_bytes())).size
    assert width > 4 * 64 and height > 64


def test_samples_of_an_earlier_report_are_taken_away(show, run_folder):
    write_samples(run_folder, show(0, 1))
    write_samples(run_folder, show(2))
    assert len(list((run_folder / "samples").glob("*.jpg"))) == 1


def test_the_same_run_makes_the_same_samples(show, run_folder):
    def written() -> list[bytes]:
        write_samples(run_folder, show(0))
        return [path.read_bytes() for path in (run_folder / "samples").iterdir()]

    assert written() == written()
