import hashlib
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from foldwright.evaluation import report
from foldwright.evaluation.folder import FolderEvaluation, evaluate_folder
from foldwright.evaluation.report import render_report, write_report

PROBE = """<script>
window.problems = [];
addEventListener("error", event => problems.push(event.message));
addEventListener("securitypolicyviolation", event => problems.push(event.blockedURI));
console.error = (...words) => problems.push(words.join(" "));
</script>"""
COUNT = """<script>
function drawn() {
  viewer.render();
  const from = document.querySelector("#viewer canvas"), to = document.createElement("canvas");
  to.width = from.width; to.height = from.height;
  const brush = to.getContext("2d");
  brush.drawImage(from, 0, 0);
  const pixels = brush.getImageData(0, 0, to.width, to.height).data, colours = new Set();
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] && pixels[i] + pixels[i + 1] + pixels[i + 2] < 720) {
      count += 1;
      const warmth = pixels[i] - pixels[i + 2];
      colours.add(warmth > 60 ? "red" : warmth < -60 ? "blue" : "");
    }
  }
  return { count, area: to.width * to.height, red: colours.has("red"), blue: colours.has("blue") };
}
const seen = structures.map((_, index) => { show(index); return drawn(); });
document.querySelector("#designs th:nth-child(2)").click();
document.body.insertAdjacentHTML("beforeend", "<pre id='probe'></pre>");
document.getElementById("probe").textContent = JSON.stringify({ problems, seen });
</script>"""


@pytest.fixture(scope="module")
def page(evaluation: FolderEvaluation) -> str:
    return render_report(evaluation)


def embedded(page: str) -> list[dict]:
    found = re.search(r'<script type="application/json" id="structures">(.*?)</script>', page)
    assert found is not None
    return json.loads(found.group(1))


def test_names_are_escaped_wherever_they_stand(page: str):
    assert "<script>alert(1)" not in page
    assert "<i>" not in page
    assert "<b>" not in page
    assert "set &lt;b&gt;1&amp;2" in page
    assert "mirror &lt;i&gt;&amp;&#39;" in page
    assert embedded(page)[0]["name"] == "mirror <i>&'"


def test_the_page_asks_for_nothing_from_outside(page: str):
    assert "default-src 'none'" in page
    outside = re.sub(r"<script>.*?</script>|<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!data:|#)', outside)


def test_structures_come_with_their_secondary_structure(page: str):
    mirror, one, _ = embedded(page)
    assert one["pdb"].count("\nATOM") + one["pdb"].startswith("ATOM") == 4 * 60
    assert len(one["secondary"]) == 60
    assert set(one["secondary"]) == {"H", "C"}
    assert (mirror["cartoon"], one["cartoon"]) == (False, True)


def test_gates_designs_and_failures_are_listed(page: str):
    text = re.sub(r"\s+", " ", page)
    assert "<td>CA dihedrals -75 to -30° (mirror)</td><td>31.5 %</td><td>&lt;= 4 %</td>" in text
    assert '<td class="miss">miss</td>' in text
    assert text.count('<tr data-index="') == 3
    assert "<td>damaged.pdb</td>" in text


def test_equal_designs_give_equal_pages(evaluation: FolderEvaluation, page: str):
    assert render_report(evaluation) == page


def test_a_page_with_fewer_structures_than_designs_says_so(
    evaluation: FolderEvaluation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(report, "MOST_STRUCTURES", 2)
    page = render_report(evaluation)
    assert "The page holds the first 2 of 3 structures." in page
    assert len(embedded(page)) == 2


def test_failures_alone_make_a_page(tmp_path: Path):
    (tmp_path / "bad.pdb").write_text("nothing\n")
    page = render_report(evaluate_folder(tmp_path))
    assert "<td>bad.pdb</td>" in page
    assert "$3Dmol" not in page


def test_the_viewer_is_the_one_that_was_vendored():
    folder = files("foldwright.evaluation").joinpath("viewer")
    script = folder.joinpath("3Dmol-min.js").read_bytes()
    source = json.loads(folder.joinpath("3Dmol.json").read_text())
    assert hashlib.sha256(script).hexdigest() == source["sha256"]
    assert b"</script" not in script
    assert "BSD-3-Clause" in folder.joinpath("3Dmol-LICENSE").read_text()


@pytest.mark.browser
def test_a_browser_draws_every_structure_without_complaint(
    evaluation: FolderEvaluation, tmp_path: Path
):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium executable on this machine")
    path = tmp_path / "page.html"
    write_report(evaluation, path)
    page = path.read_text()
    path.write_text(page.replace("<head>", f"<head>{PROBE}").replace("</body>", f"{COUNT}</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,900"]
    done = subprocess.run(
        [browser, *options, "--virtual-time-budget=5000", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)
    assert found is not None, done.stderr[-2000:]
    result = json.loads(found.group(1).replace("&quot;", '"'))
    assert result["problems"] == []
    assert len(result["seen"]) == 3
    for seen in result["seen"]:
        assert seen["count"] > 0.005 * seen["area"]
        assert seen["red"]
        assert seen["blue"]
