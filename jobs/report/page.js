"use strict";
(async () => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const EVERYONE = "", DAY = 86400000;
  const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  const DAYS_OF = { day: 1, week: 7 };
  const HOW = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, tooltip: { disableDefaultStyle: true } };
  const find = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  function rowsOf(columns) {
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    return Array.from({ length: count }, (_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  }

  const dated = (rows, days) =>
    rows.map((row) => {
      const start = Date.parse(row.start);
      return { ...row, start, end: row.end ? Date.parse(row.end) : start + days * DAY };
    });

  const number = (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits });
  const whole = number(0), tenths = number(1), thousandths = number(3);
  const day = (value) => new Date(value).toISOString().slice(0, 10);
  const WRITTEN = {
    count: (value) => whole.format(value),
    number: (value) => tenths.format(value),
    percent: (value) => `${tenths.format(value)} %`,
    score: (value) => thousandths.format(value),
    hour: (value) => `${String(value).padStart(2, "0")}:00`,
    date: day,
    instant: (value) => new Date(value).toISOString().slice(0, 16).replace("T", " "),
    text: (value) => String(value),
  };
  const written = (kind, value) => (value === null || value === undefined ? "–" : WRITTEN[kind](value));

  const shared = await unpacked(DATA.shared);
  const state = { school: DATA.first, teacher: EVERYONE, kind: find("kind").value, part: null };

  // What each chart draws, as the state has it.
  const ROWS = {
    periods: () => dated(rowsOf(state.part.periods), DAYS_OF[DATA.grain]),
    profile: () => rowsOf(state.part.profile).map((row) => ({ ...row, day: WEEKDAYS[row.weekday] })),
    weeks: () => {
      const source = state.teacher === EVERYONE ? rowsOf(state.part.weeks) : weeksOfTeacher();
      return dated(source, 7).map((row) => ({ ...row, prompts_unused: Math.max(0, row.prompts_shown - row.prompts_used) }));
    },
    prompts: () =>
      rowsOf(shared.prompts)
        .filter((row) => row.dimension === state.kind)
        .sort((a, b) => (b.mean ?? -Infinity) - (a.mean ?? -Infinity))
        .map((row) => ({
          ...row,
          label: `${row.value} (n = ${whole.format(row.n)})`,
          counted: `${row.value} (n = ${whole.format(row.generated)})`,
        })),
    prompt_periods: () => dated(rowsOf(shared.prompt_periods), 7),
    freshness: () =>
      rowsOf(shared.freshness)
        .map((row) => ({ ...row, age: row.newest === null ? null : (DATA.madeAt - row.newest) / DAY }))
        .sort((a, b) => (b.age ?? -1) - (a.age ?? -1)),
    quarantined: () => rowsOf(shared.quarantined),
    verdicts: () => rowsOf(shared.verdicts),
    runs: () => rowsOf(shared.runs).reverse(),
  };

  function weeksOfTeacher() {
    const trends = ["improving", "stable", "declining", "insufficient_data"];
    return rowsOf(state.part.teacher_weeks)
      .filter((row) => row.teacher === state.teacher)
      .map((row) => ({ ...row, ...Object.fromEntries(trends.map((trend) => [trend, Number(row.trend === trend)])) }));
  }

  function summary(chart, rows) {
    const { said, fields } = chart;
    const [, heading, kind] = fields.find(([name]) => name === said) ?? fields[0];
    const label = fields[0];
    const told = rows.filter((row) => row[said] !== null && row[said] !== undefined);
    if (!told.length) return `${chart.title}: nothing to show.`;
    const named = (row) => `${written(kind, row[said])} (${written(label[2], row[label[0]])})`;
    const sorted = [...told].sort((a, b) => a[said] - b[said]);
    return `${chart.title}. ${heading}: ${told.length} values from ${named(sorted[0])} to ${named(sorted.at(-1))}. The table below has them all.`;
  }

  function fillTable(holder, chart, rows) {
    const table = make("table");
    table.append(make("caption", chart.title, "unseen"));
    const head = table.createTHead().insertRow();
    const side = (kind) => (kind === "text" ? "text" : "");
    for (const [, heading, kind] of chart.fields) {
      const cell = make("th", heading, side(kind));
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const [name, , kind] of chart.fields) {
        line.append(make("td", written(kind, row[name]), name === "message" ? "text long" : side(kind)));
      }
    }
    holder.replaceChildren(table);
  }

  const views = new Map();
  const drawn = new Map();

  async function draw(chart) {
    const rows = ROWS[chart.rows]();
    drawn.set(chart.name, rows);
    const holder = find(chart.name);
    holder.setAttribute("aria-label", summary(chart, rows));
    const details = holder.parentElement.querySelector("details");
    if (details.open) fillTable(details.querySelector(".table"), chart, rows);
    views.get(chart.name)?.finalize();
    views.delete(chart.name);
    if (!rows.length) {
      holder.replaceChildren(make("p", "Nothing to show.", "empty"));
      return;
    }
    // The picture has one label, above: what is inside says nothing of its own.
    const inside = make("div");
    inside.setAttribute("aria-hidden", "true");
    holder.replaceChildren(inside);
    const spec = structuredClone(chart.vega);
    spec.data.find((source) => source.name === "rows").values = rows.map((row) => ({ ...row }));
    views.set(chart.name, await vegaEmbed(inside, spec, HOW));
  }

  function drawAll(names) {
    return Promise.all(DATA.charts.filter((chart) => names.includes(chart.rows)).map(draw));
  }

  function figures() {
    const total = rowsOf(state.part.totals)[0] ?? {};
    const sum = (column) => rowsOf(state.part.weeks).reduce((all, week) => all + (week[column] ?? 0), 0);
    const shown = sum("prompts_shown");
    const share = shown ? (100 * sum("prompts_used")) / shown : null;
    const isAll = state.school === EVERYONE;
    const told = [
      ["Sessions completed", written("count", total.sessions_completed), `${written("count", total.active_hours)} ${isAll ? "school hours" : "hours"} with a session`],
      ["Teachers", written("count", state.part.teachers), "with a session or a prompt"],
      ["Engagement", written("number", total.engagement), "mean score, 0–100"],
      ["Prompts used", written("percent", share), `of ${written("count", shown)} shown to teachers`],
      ["Busiest hour", written("count", total.most_people), isAll ? "people, in one school" : "people"],
      ["System errors", written("count", total.errors), `${written("percent", total.error_rate)} of an hour's requests failed, on average`],
    ];
    find("figures").replaceChildren(
      ...told.map(([name, value, note]) => {
        const box = make("div");
        box.append(make("dt", name));
        const cell = make("dd");
        cell.append(make("span", value, "value"), make("span", note, "note"));
        box.append(cell);
        return box;
      }),
    );
  }

  function offerTeachers() {
    const select = find("teacher");
    const ids = [...new Set(state.part.teacher_weeks.teacher)];
    const option = (value, text) => Object.assign(make("option", text), { value });
    const all = state.school === EVERYONE ? "Choose a school first" : `All teachers (${state.part.teachers})`;
    select.replaceChildren(option(EVERYONE, all), ...ids.map((id) => option(id, id)));
    select.disabled = !ids.length;
  }

  function say() {
    const school = state.school === EVERYONE ? "All schools" : `School ${state.school}`;
    const teacher = state.teacher === EVERYONE ? "" : `, teacher ${state.teacher}`;
    find("scope").textContent = school + teacher;
    return `${school}${teacher} shown.`;
  }

  async function choose(school) {
    state.school = school;
    state.teacher = EVERYONE;
    state.part = await unpacked(DATA.parts[school]);
    offerTeachers();
    figures();
    say();
    await drawAll(["periods", "profile", "weeks"]);
  }

  find("school").addEventListener("change", async (event) => {
    await choose(event.target.value);
    find("said").textContent = say();
  });
  find("teacher").addEventListener("change", async (event) => {
    state.teacher = event.target.value;
    await drawAll(["weeks"]);
    find("said").textContent = say();
  });
  find("kind").addEventListener("change", async (event) => {
    state.kind = event.target.value;
    await drawAll(["prompts"]);
    find("said").textContent = `Prompts by ${state.kind.replaceAll("_", " ")} shown.`;
  });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  for (const chart of DATA.charts) {
    const details = find(chart.name).parentElement.querySelector("details");
    details.addEventListener("toggle", () => {
      if (details.open) fillTable(details.querySelector(".table"), chart, drawn.get(chart.name));
    });
  }

  find("school").value = state.school;
  await choose(state.school);
  await drawAll(Object.keys(shared));
  document.documentElement.dataset.drawn = "true";
})();
