"""The notebook in the examples runs from its first cell to its last."""

from pathlib import Path

import nbformat
from nbconvert.preprocessors import ExecutePreprocessor

NOTEBOOK = Path(__file__).parents[2] / "examples" / "live_transformer.ipynb"
#: The longest a cell may take, seconds: the training takes 15 on an idle machine.
LONGEST = 300


def test_the_notebook_of_a_live_transformer_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    ExecutePreprocessor(timeout=LONGEST).preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all(cell.execution_count for cell in cells)
    # A report is shown as it is in a browser.
    assert any("<iframe" in output.data.get("text/html", "") for cell in cells for output in cell.outputs if "data" in output)
