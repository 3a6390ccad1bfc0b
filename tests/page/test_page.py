"""What the script of a report's page does, and how the page looks to those without it. README.md tells how to run it."""

import csv
import io
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree

from browser import Browser

PAGES = None
SVG = "{http://www.w3.org/2000/svg}"


class Page(unittest.TestCase):
    """Runs every test in one browser; each opens the page that it needs."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()

    def open(self, name, width=1400):
        self.browser.resize(width, 1000)
        self.browser.scheme("light")
        self.browser.open(PAGES / name / "report.html")

    def center(self, selector, place=0):
        """Scrolls to an element and returns the middle of its place in the window."""
        return self.browser.run(
            "const e = document.querySelectorAll(arguments[0])[arguments[1]];"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "return new Promise(requestAnimationFrame).then(() => e.getBoundingClientRect())"
            ".then(r => [r.left + r.width / 2, r.top + r.height / 2]);",
            selector,
            place,
        )

    def click(self, selector, place=0):
        self.browser.move(*self.center(selector, place), clicks=True)

    def tip(self):
        return self.browser.run("const tip = document.querySelector('#tip'); return tip.hidden ? null : tip.textContent;")

    def downloaded(self, name):
        path = pathlib.Path(self.browser.downloads) / name
        deadline = time.monotonic() + 20
        while not path.exists():
            self.assertLess(time.monotonic(), deadline, f"{name} was not saved")
            time.sleep(0.05)
        return path.read_text()

    def test_a_mark_shows_its_value_and_its_block_everywhere(self):
        self.open("single")
        mark = "figure[data-file='lesion-1'] .m[data-b='stage2.block2'] path:last-of-type"
        x, y = self.center(mark, 0)
        self.browser.move(x, y)
        self.assertRegex(self.tip(), r"^stage2\.block2 \(layer2\.1\): accuracy 63\.00 % \(61\.30 to 64\.70\)$")
        marked = self.browser.run("return [...document.querySelectorAll('.on')].map(e => [e.localName, e.dataset.b]);")
        self.assertTrue(all("stage2.block2" in blocks.split(" ") for _, blocks in marked))
        kinds = {kind for kind, _ in marked}
        self.assertEqual(kinds, {"g", "text", "tr"}, "marks, tick labels and rows")
        # A steady hand is not needed.
        self.browser.move(x + 5, y)
        self.assertIsNotNone(self.tip())
        self.browser.move(5, 5)
        self.assertIsNone(self.tip())
        self.assertEqual(self.browser.run("return document.querySelectorAll('.on').length"), 0)

    def test_marks_are_reached_by_keyboard(self):
        self.open("single")
        self.browser.run("document.querySelector(\"figure[data-file='estimation-1'] .panel\").focus()")
        self.browser.press("Right")
        self.assertIn("stage1.block1", self.tip())
        self.browser.press("Right", "Right")
        self.assertIn("stage1.block3", self.tip())
        self.assertEqual(self.browser.run("return document.activeElement.getAttribute('aria-label')"), self.tip())
        self.browser.press("Left")
        self.assertIn("stage1.block2", self.tip())
        # A mark that has to be scrolled to keeps its words.
        self.browser.run("scrollTo(0, 0)")
        self.browser.press("Right")
        self.browser.run("return new Promise(r => setTimeout(r, 200))")
        self.assertIn("stage1.block3", self.tip())
        self.browser.press("Escape")
        self.assertIsNone(self.tip())
        # Up and down lead from series to series, and from row to row of a heat map.
        self.browser.run("document.querySelector(\"figure[data-file='training'] .panel\").focus()")
        self.browser.press("Right", "Right", "Right")
        self.assertIn("training, epoch 3", self.tip())
        self.browser.press("Down")
        self.assertIn("validation, epoch 3", self.tip())
        self.browser.run("document.querySelector(\"figure[data-file='similarity'] .panel\").focus()")
        self.browser.press("Right", "Down")
        first = self.tip()
        self.browser.press("Down")
        self.assertNotEqual(first, self.tip())
        self.assertIn("second block stage1.block2", self.tip())

    def rows(self, table):
        return self.browser.run(
            f"return [...document.querySelectorAll('{table} tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
        )

    def test_tables_are_sorted_by_number_and_by_block(self):
        self.open("single")
        self.browser.run("for (const d of document.querySelectorAll('#lesion details')) d.open = true")
        before = self.rows("#lesion")
        head = "#lesion thead button"
        self.click(head, 2)
        number = lambda row: float(row[2].split(" ")[0].replace("\u2212", "-"))
        ascending = [number(row) for row in self.rows("#lesion")]
        self.assertEqual(ascending, sorted(ascending))
        self.assertNotEqual(ascending, [number(row) for row in before])
        self.click(head, 2)
        descending = [number(row) for row in self.rows("#lesion")]
        self.assertEqual(descending, sorted(ascending, reverse=True))
        sort = "return document.querySelectorAll('#lesion thead th')[2].ariaSort"
        self.assertEqual(self.browser.run(sort), "descending")
        self.click(head, 2)
        self.assertEqual(self.rows("#lesion"), before, "as it was")
        self.browser.run("for (const d of document.querySelectorAll('#estimation details')) d.open = true")
        self.click("#estimation thead button", 1)
        self.assertEqual(self.rows("#estimation")[-1][1].split(" ")[0], "NaN", "what is no number stands last")

    def test_blocks_are_sorted_by_their_numbers(self):
        self.open("deep")
        self.browser.run("for (const d of document.querySelectorAll('#lesion details')) d.open = true")
        self.click("#lesion thead button", 0)
        names = [row[0].split(" ")[0] for row in self.rows("#lesion")]
        self.assertEqual(names, [f"stage1.block{n}" for n in range(1, 51)])

    def test_a_network_is_hidden_with_all_that_belongs_to_it(self):
        self.open("comparison")
        shown = "return [...document.querySelectorAll('main [data-n=\"1\"]')].filter(e => e.getClientRects().length).length"
        others = shown.replace('"1"', '"0"')
        before = self.browser.run(others)
        self.assertGreater(self.browser.run(shown), 20)
        self.click(".networks button", 1)
        self.assertEqual(self.browser.run(shown), 0)
        self.assertEqual(self.browser.run(others), before)
        self.assertEqual(self.browser.run("return document.querySelectorAll('.networks button')[1].ariaPressed"), "false")
        self.click(".networks button", 1)
        self.assertGreater(self.browser.run(shown), 20)

    def test_a_figure_is_saved_as_svg(self):
        self.open("comparison")
        self.click("figure[data-file='influence'] button.save")
        text = self.downloaded("influence.svg")
        self.assertNotIn("var(--", text)
        root = xml.etree.ElementTree.fromstring(text)
        labels = "".join(root.itertext())
        for word in ("relative depth", "resnet56.th", "<script>alert(1)", "identity"):
            self.assertIn(word, labels)
        titles = [title.text for title in root.iter(f"{SVG}title")]
        self.assertEqual(sum("block influence 0." in title for title in titles), 27 + 9 + 49)

    def test_data_are_saved_as_csv(self):
        self.open("single")
        self.click("figure[data-file='estimation-1'] a.save")
        rows = list(csv.DictReader(io.StringIO(self.downloaded("estimation-1.csv"))))
        points = [row for row in rows if row["block"]]
        self.assertEqual(len(points), 26)
        self.assertEqual(points[6]["y"], "NaN")
        self.browser.run("for (const d of document.querySelectorAll('#lesion details')) d.open = true")
        self.click("#lesion .table a.save")
        rows = list(csv.DictReader(io.StringIO(self.downloaded("lesion.csv"))))
        self.assertEqual(rows[1]["source_name"], "layer1.1")
        self.assertAlmostEqual(float(rows[1]["accuracy_fraction"]), 0.63)

    def test_nothing_is_wider_than_the_window_but_what_can_be_scrolled(self):
        for name in ("single", "comparison", "deep"):
            for width in (400, 700, 1000, 1400):
                self.open(name, width)
                self.browser.run("for (const d of document.querySelectorAll('details')) d.open = true")
                wider = self.browser.run(
                    "return [...document.querySelectorAll('main *, .side *')].filter(e => !e.closest('.scroll, #tip') &&"
                    " e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"
                )
                self.assertEqual(wider, [], f"{name} at {width}")
                unreachable = self.browser.run(
                    "return new Promise(r => setTimeout(r, 100)).then(() => [...document.querySelectorAll('.scroll')].filter(e =>"
                    " e.scrollWidth > e.clientWidth + 1 && !(e.tabIndex === 0 && e.getAttribute('aria-label'))).length)"
                )
                self.assertEqual(unreachable, 0, "what scrolls has a name and can be focused")

    def test_print_shows_everything(self):
        self.open("single")
        self.browser.cdp("Emulation.setEmulatedMedia", media="print", features=[])
        self.browser.resize(703, 1000)
        hidden = self.browser.run(
            "return [...document.querySelectorAll('main table, main svg.panel')].filter(e => !e.checkVisibility({contentVisibilityAuto:"
            " true}) || !e.getClientRects().length).length"
        )
        wider = self.browser.run(
            "return [...document.querySelectorAll('main svg.panel, main table:not(.wide table)')]"
            ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
        )
        wide = self.browser.run("return Math.max(...[...document.querySelectorAll('.wide table')].map(e => e.getBoundingClientRect().width))")
        self.browser.cdp("Emulation.setEmulatedMedia", media="", features=[])
        self.assertEqual((hidden, wider), (0, 0))
        # A page on its side is 271 mm wide within its margins.
        self.assertLessEqual(wide, 271 / 25.4 * 96)

    @unittest.skipUnless(shutil.which("pdftotext"), "needs poppler-utils")
    def test_printed_tables_repeat_their_headings(self):
        self.open("single")
        path = pathlib.Path(self.browser.folder.name) / "page.pdf"
        self.browser.pdf(path)
        text = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True).stdout
        pages = [page for page in text.split("\f") if page.count("stage1.block") + page.count("stage2.block") > 40]
        self.assertGreater(len(pages), 2)
        self.assertTrue(all("second block" in page for page in pages))

    def test_the_page_says_everything_without_script(self):
        self.browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
        try:
            self.open("single")
            path = os.path.join(self.browser.downloads, "..", "plain.png")
            self.browser.screenshot(path)
            nodes = self.browser.cdp("Accessibility.getFullAXTree")["nodes"]
        finally:
            self.browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
        names = {node.get("name", {}).get("value", "") for node in nodes}
        self.assertTrue(any(name.startswith("stage1.block2 (layer1.1): accuracy 63.00 %") for name in names))
        self.assertIn("Leaving one block out", names)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: test_page.py FOLDER, which `cargo test --lib write_pages -- --ignored` filled")
    PAGES = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=1)
