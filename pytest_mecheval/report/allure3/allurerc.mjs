// Allure 3 configuration for the results of pytest-mecheval:
//   allure generate RESULTS --config allurerc.mjs -o OUT
// `mecheval report` does this, and passes what it knows about the run as JSON in MECHEVAL_ALLURE.
import { fileURLToPath } from "node:url";

const run = JSON.parse(process.env.MECHEVAL_ALLURE ?? "{}");
const message = (verdict) => new RegExp("^(?:[\\w.]+: )?[^\\n:]*: " + verdict + "\\b");
const category = (name, verdict, ...statuses) => ({
  name,
  matchers: { statuses, message: message(verdict) },
  groupBy: [{ label: "feature" }],
  groupByMessage: false,
  expand: verdict === "REFUTED" || verdict === "VACUOUS",
});

const dimensions = ["coherence", "reproducibility", "generalizability"];
const metric = (name) => ["score." + name, { title: "Share supported: " + name, unit: "", better: "higher", group: "scores" }];

export default {
  name: run.name ?? "mecheval",
  historyPath: run.history,
  historyLimit: 30,
  appendHistory: Boolean(run.history),
  hideLabels: ["host", "thread", "framework", "language", "package", "parentSuite", "suite", "subSuite"],
  variables: run.variables ?? {},
  performance: {
    groups: { scores: { title: "Share of tested findings supported" } },
    metrics: Object.fromEntries(dimensions.map(metric)),
  },
  categories: [
    category("Refuted claims", "REFUTED", "failed"),
    category("Vacuous claims: the test would pass for anything", "VACUOUS", "failed"),
    category("Inconclusive claims", "INCONCLUSIVE", "failed", "skipped"),
    category("Not testable claims", "NOT_TESTABLE", "skipped"),
    {
      name: "Our failure: no verdict about the claim",
      matchers: { statuses: ["broken"] },
      groupBy: [{ label: "feature" }],
      groupByMessage: false,
      expand: true,
    },
  ],
  plugins: {
    mecheval: {
      import: fileURLToPath(new URL("./front-page.mjs", import.meta.url)),
      options: { pages: run.pages ?? [] },
    },
    awesome: {
      options: {
        reportName: run.name ?? "mecheval",
        groupBy: ["feature", "story"],
        defaultSortBy: "name,asc",
        reportLanguage: "en",
        sections: ["metrics", "charts"],
        charts: [
          { type: "currentStatus", title: "Claims by status", metric: "passed" },
          { type: "testResultSeverities", title: "Main and supporting claims by status" },
          { type: "statusDynamics", title: "History" },
        ],
      },
    },
  },
};
