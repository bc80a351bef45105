"""Labels: beside what they name, on nothing else."""

from tinysight.report.labels import Box, place

ROOM = Box(0, 0, 200, 100)
MARK = Box(95, 45, 105, 55)


def put(*others, labels=(), lines=(), mark=MARK):
    return place(mark, 40, 10, ROOM, marks=[mark, *others], labels=labels, lines=lines)


def test_alone_it_stands_to_the_right():
    placed = put()
    assert placed.box.left > MARK.right and placed.clear


def test_it_gives_way_to_another_mark():
    neighbour = Box(108, 45, 118, 55)
    assert put(neighbour).box.overlap(neighbour) == 0


def test_it_gives_way_to_another_label():
    taken = Box(107, 40, 160, 60)
    assert put(labels=[taken]).box.overlap(taken) == 0


def test_it_stays_in_the_plot():
    corner = Box(190, 0, 200, 10)
    assert put(mark=corner).box.within(ROOM)


def test_it_avoids_a_line_where_it_can():
    line = Box(105, 49, 200, 51)
    assert put(lines=[line]).box.overlap(line) == 0


def test_without_room_it_says_that_it_is_not_clear():
    crowd = [Box(x, y, x + 9, y + 9) for x in range(0, 200, 10) for y in range(0, 100, 10)]
    assert not put(*crowd).clear


def test_it_says_that_another_mark_is_as_near():
    ring = [Box(x, y, x + 10, y + 10) for x in (40, 95, 150) for y in (25, 45, 65) if (x, y) != (95, 45)]
    assert not put(*ring).nearest


def test_a_wide_name_begins_where_its_mark_does():
    beside = Box(25, 50, 35, 60)
    placed = place(Box(10, 45, 20, 55), 185, 10, ROOM, marks=[Box(10, 45, 20, 55), beside], labels=[])
    assert placed.clear and placed.box.left == 10
