// Local Allure 3 plugin: the run's own summary.html as a page of the report, each claim linked to its test.
// The page is taken as it is; the only thing added are links at places that its writer marked.
import { readFile } from "node:fs/promises";

const escaped = (text) =>
  String(text ?? "").replace(/[&<>"']/g, (found) => "&#" + found.charCodeAt(0) + ";");
const label = (test, name) => test.labels.find((each) => each.name === name)?.value;
const REPORT = "../awesome/index.html";

export default class FrontPage {
  constructor(options = {}) {
    this.pages = options.pages ?? [];
  }

  done = async (context, store) => {
    const tests = new Map();
    for (const test of await store.allTestResults()) {
      tests.set(label(test, "epic") + "/" + label(test, "claim"), test.id);
    }
    const names = [];
    for (const [index, page] of this.pages.entries()) {
      const name = this.pages.length === 1 ? "index.html" : "bundle-" + (index + 1) + ".html";
      await context.reportFiles.addFile(name, Buffer.from(linked(await readFile(page.path, "utf8"), tests)));
      names.push([name, page.bundle]);
    }
    if (names.length !== 1) {
      await context.reportFiles.addFile("index.html", Buffer.from(list(names)));
    }
  };

  async info(context, store) {
    const stats = await store.testsStatistic();
    return {
      name: "Front page: verdict, radar, every claim",
      stats,
      status: stats.failed || stats.broken ? "failed" : "passed",
      duration: 0,
      plugin: "mecheval",
      meta: { reportId: context.reportUuid },
    };
  }
}

function linked(page, tests) {
  const all = page.replaceAll("<!--allure-report-->", ' <a href="' + REPORT + '">Allure report</a>');
  return all.replaceAll(/<!--allure:(.*?)-->/g, (marker, claim) => {
    const id = tests.get(claim);
    return id ? ' <a class="al" href="' + REPORT + "#" + encodeURIComponent(id) + '">Allure</a>' : "";
  });
}

function list(names) {
  const items = names.map(([name, bundle]) => '<li><a href="' + name + '">' + escaped(bundle) + "</a></li>");
  const hint = "<p>Made with <code>mecheval report</code> this page shows the front page of every bundle.</p>";
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>mecheval</title><h1>mecheval</h1>' +
    (items.length ? "<ul>" + items.join("") + "</ul>" : hint) +
    "</html>"
  );
}
