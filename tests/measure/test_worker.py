"""The other end of the measuring process: what it reads and writes."""

import json
import subprocess
import sys

CHATTY = """
import tinysight.measure.worker as worker
class Chatty:
    def __init__(self, job): print("loading", job)
    def describe(self): print("a remark"); return {"answer": 7}
worker.Served = Chatty
worker.serve()
"""


def converse(*questions: dict, script: str = "") -> subprocess.CompletedProcess:
    command = ["-c", script] if script else ["-m", "tinysight.measure.worker"]
    text = "".join(json.dumps(question) + "\n" for question in questions)
    return subprocess.run(
        [sys.executable, *command], input=text, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_ends_when_nobody_asks_any_more():
    done = converse()
    assert (done.returncode, done.stdout) == (0, "")


def test_a_mistake_is_an_answer_on_one_line(tmp_path):
    done = converse({"ask": "load", "artifact": str(tmp_path), "engine": "openvino", "threads": 1})
    answer = json.loads(done.stdout)
    assert answer.keys() == {"error"}
    assert str(tmp_path) in answer["error"]


def test_what_libraries_print_is_kept_out_of_the_answers():
    done = converse({"ask": "load"}, {"ask": "describe"}, script=CHATTY)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"ok": {}}, {"ok": {"answer": 7}}]
    assert "a remark" in done.stderr
