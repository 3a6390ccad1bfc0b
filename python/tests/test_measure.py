"""Measurements of arrays are those of the program."""

from __future__ import annotations

import copy
import json
import pathlib
import pickle

import numpy as np
import pytest
from repository import ROOT, figures, run_program

import unrolled as un


def test_every_figure_is_that_of_the_program(net, samples, example, program_json, tmp_path) -> None:
    images, labels = samples
    file = tmp_path / "samples.npz"
    np.savez(file, images=images, labels=labels)
    expected = program_json("measure", example, "--data", f"arrays:{file}", "--seed", 3, "--json")
    found = un.measure(net, images, labels, seed=3).json()
    assert figures(found) == figures(expected)
    assert len(found) > 12


def test_without_labels_and_with_a_normalization_too(samples, example, program_json, tmp_path) -> None:
    images, _ = samples
    file = tmp_path / "samples.npz"
    np.savez(file, images=images)
    options = ["--mean", "0.5", "--std", "2", "--only", "lesion,estimation", "--json"]
    expected = program_json("measure", example, "--data", f"arrays:{file}", *options)
    net = un.open(example, mean=0.5, std=[2.0])
    assert figures(un.measure(net, images, only=["lesion", "estimation"]).json()) == figures(expected)


def test_a_data_set_by_name(net, example, program_json) -> None:
    expected = program_json("measure", example, "--data", "digits", "--limit", 50, "--only", "lesion", "--json")
    found = un.measure(net, un.Data("digits", limit=50), only="lesion").json()
    assert figures(found) == figures(expected) and found["data"] == expected["data"]
    assert found["baseline"]["accuracy_fraction"] > 0.8


def test_no_figure_depends_on_the_batch(net, samples) -> None:
    one, other = (un.measure(net, *samples, only=["lesion"], batch=batch).json() for batch in (7, 64))
    assert one == other


def test_a_loss_that_is_not_finite_is_an_exception(net, samples, tmp_path) -> None:
    images, labels = samples
    with pytest.raises(un.NonFiniteError, match="the loss of the whole network is NaN: it needs weights and samples"):
        un.measure(net, np.where(images > 0, 3e38, -3e38).astype("f4"), labels, only="lesion", null_seeds=0, out=tmp_path / "out")
    # What was measured is kept, as by the program.
    assert un.load(tmp_path / "out").json()["baseline"]["samples"] == len(labels)


def test_attributes_are_the_fields_of_the_json(net, samples) -> None:
    results = un.measure(net, *samples, only=["lesion", "estimation"])
    block = results.json()["lesion"]["stage2.block2"]
    found = results.lesion["stage2.block2"]
    assert (found.accuracy_cost, found.accuracy_cost.ci95) == tuple(block["accuracy_cost_fraction"].values())
    assert found.loss == found["loss_nats"] == block["loss_nats"]
    assert list(results.lesion) == list(net.blocks)
    assert results.measurements == ("estimation", "lesion")
    with pytest.raises(AttributeError, match="no 'lesions' here; there is version"):
        results.lesions


def test_tables_are_those_of_the_csv_files(net, samples, tmp_path) -> None:
    results = un.measure(net, *samples, only=["lesion", "influence"])
    results.save(tmp_path)
    for name, table in results.tables.items():
        assert (tmp_path / f"{name}.csv").read_text() == table.to_csv()
        assert table.to_csv().count("\n") == len(table) + 1
    frame = results.table("lesion").to_pandas()
    assert list(frame["block"]) == list(net.blocks)
    assert frame["loss_nats"].tolist() == [results.lesion[block].loss for block in net.blocks]
    assert results.table("lesion").to_numpy("loss_nats").dtype == np.float64
    with pytest.raises(un.ArgumentError, match="no table 'leson'"):
        results.table("leson")


def test_results_are_read_again(net, samples, tmp_path) -> None:
    results = un.measure(net, *samples, only=["lesion"], out=tmp_path / "kept")
    assert (tmp_path / "kept/report.html").exists()
    assert un.load(tmp_path / "kept").json() == results.json()
    results.save(tmp_path / "saved")
    assert un.load(tmp_path / "saved").json() == results.json()
    text = run_program("report", tmp_path / "saved")
    assert "report.html" in text
    # Another measurement is added to those that are there.
    both = un.measure(net, *samples, only=["lesion", "shuffle"], out=tmp_path / "kept")
    assert both.measurements == ("lesion", "shuffle")


def test_results_are_pickled_whole(net, samples) -> None:
    results = un.measure(net, *samples, only=["lesion", "estimation"])
    for again in (pickle.loads(pickle.dumps(results)), copy.deepcopy(results)):
        assert again.json() == results.json() and again._repr_html_() == results._repr_html_()
        assert again.lesion["stage1.block2"].accuracy_cost == results.lesion["stage1.block2"].accuracy_cost


def test_a_notebook_shows_the_whole_report(net, samples) -> None:
    import html.parser

    results = un.measure(net, *samples, only=["lesion"])

    class Frame(html.parser.HTMLParser):
        pages: list[str] = []

        def handle_starttag(self, tag, attributes):
            assert tag == "iframe"
            self.pages.append(dict(attributes)["srcdoc"])

    parser = Frame()
    parser.feed(results._repr_html_())
    assert parser.pages == [results.html()]
    assert repr(results).startswith("<Results of ") and "lesion" in repr(results)
    assert "stage1.block2" in results.text()


def test_progress_is_told_and_can_stop(net, samples) -> None:
    calls = []
    un.measure(net, *samples, only=["lesion"], progress=lambda *call: calls.append(call))
    done, total, name = calls[-1]
    assert done == total and name == "lesion"
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)

    def stop(done, total, name):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        un.measure(net, *samples, progress=stop)


def test_the_example_of_the_readme_has_no_other_names() -> None:
    readme = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
    for name in ("un.open", "un.measure", "un.slim"):
        assert name in readme and hasattr(un, name.removeprefix("un."))


def test_json_text_is_json(net, samples) -> None:
    results = un.measure(net, *samples, only=["lesion"])
    assert json.loads(results.to_json_str()) == results.json()


def test_a_graph_of_words_with_a_mask(program_json, tmp_path) -> None:
    path = ROOT / "tests/onnx/encoder-pre.onnx"
    random = np.random.default_rng(8)
    words = random.integers(0, 5, size=(20, 6))
    mask = (np.arange(6) < random.integers(2, 7, size=(20, 1))).astype("i8")
    labels = random.integers(0, 5, size=20)
    file = tmp_path / "words.npz"
    np.savez(file, input_ids=words, attention_mask=mask, labels=labels)
    expected = program_json("measure", path, "--data", f"arrays:{file}", "--only", "lesion,estimation", "--json")
    arrays = {"attention_mask": mask, "input_ids": words}
    found = un.measure(un.open(path), arrays, labels, only=["estimation", "lesion"])
    assert figures(found.json()) == figures(expected)
    with pytest.raises(un.MismatchError, match="array 'attention_mask': the network takes it"):
        un.measure(un.open(path), {"input_ids": words, "mask": mask}, labels)
