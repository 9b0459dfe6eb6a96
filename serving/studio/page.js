// The API page: forms, curl lines and answers, all made from /docs.json. Text only ever enters as text, never as markup.

import { codes, entry, kind, operations, plain, resolve, rows, value } from "./schema.js";

const COMMON_LAST = ["at", "placement", "dry_run"];

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, given] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(given)) node.addEventListener(event, listener);
    else if (given !== undefined && given !== false) node.setAttribute(name, given === true ? "" : given);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

/** Text with its `code` spans. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

/** The headers of a call, with the key where one was given. */
function headers(more = {}) {
  const key = document.getElementById("key").value.trim();
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function start() {
  const spec = await (await fetch("/docs.json")).json();
  const calls = operations(spec);
  const forms = calls.map((call) => section(spec, call, (decided) => forms.forEach((form) => form.setDecision(decided))));
  document.getElementById("calls").replaceChildren(...forms.map((form) => form.node));
  document.getElementById("nav").replaceChildren(...calls.map((call) => make("li", {}, make("a", { href: `#${call.anchor}` }, called(call)))));
  document.getElementById("code-lists").replaceChildren(...codeLists(spec));
  fillCustomer(forms);
  if (await showStatus()) await fillProducts(forms);
  if (location.hash) document.querySelector(`[id="${location.hash.slice(1)}"]`)?.scrollIntoView();
}

/** What the list of calls says: the path's end, with the method where it is not the usual one. */
function called({ method, path }) {
  const name = path.replace("/v1/", "");
  return method === "POST" ? name : `${method} ${name}`;
}

function section(spec, call, decided) {
  const fields = [...inPath(spec, call), ...inBody(spec, call)];
  const curl = make("pre");
  const answer = make("div", { "aria-live": "polite" }, make("p", { class: "empty" }, "Send the form to see an answer."));
  const took = make("span", { class: "took" });
  const button = make("button", { type: "submit" }, "Send");
  const request = () => {
    const given = (held) => Object.fromEntries(fields.filter((each) => each.held === held).map((each) => [each.name, each.read()]).filter(([, got]) => got !== undefined));
    const path = Object.entries(given("path")).reduce((filled, [name, id]) => filled.replace(`{${name}}`, encodeURIComponent(id)), call.path);
    return { method: call.method, path, body: call.operation.requestBody ? given("body") : undefined };
  };
  const refresh = () => { curl.textContent = curlLine(request()); };
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    await send(request(), { fields, answer, took, decided });
    button.disabled = false;
  };
  const form = callForm(fields, { submit, input: refresh }, button, took);
  const done = Object.keys(call.operation.responses).find((status) => status.startsWith("2"));
  const answerSchema = resolve(spec, call.operation.responses[done].content["application/json"].schema);
  const node = make(
    "section", { class: "call", id: call.anchor },
    make("h2", {}, make("span", { class: "verb" }, call.method), make("span", { class: "path" }, call.path)),
    make("p", { class: "summary" }, call.operation.summary),
    make("div", { class: "columns" }, form, make("div", { class: "right" },
      make("h3", {}, "From a shell"), make("div", { class: "box" }, curl, copyButton(curl)), make("h3", {}, "Answer"), answer)),
    ...fields.filter((each) => each.entry).map((each) => make("details", { class: "fields" }, make("summary", {}, `Every field of ${each.name}`), answerTable(spec, each.entry))),
    make("details", { class: "fields" }, make("summary", {}, "Every field of the answer"), answerTable(spec, answerSchema)),
  );
  const set = (name, text) => { fields.find((each) => each.name === name && each.held === "body")?.write(text); refresh(); };
  const setId = (kind, text) => { if (call.path.startsWith(`/v1/${kind}/`)) fields.find((each) => each.held === "path")?.write(text); refresh(); };
  refresh();
  return { node, set, setCustomer: (text) => setId("customers", text), setDecision: (text) => setId("decisions", text) };
}

function callForm(fields, on, button, took) {
  const first = fields.filter((each) => each.first);
  const rest = fields.filter((each) => !each.first);
  return make(
    "form", { on, novalidate: true },
    make("h3", {}, "Request"),
    ...first.map((each) => each.node),
    rest.length ? make("details", { class: "more" }, make("summary", {}, `${rest.length} more fields`), ...rest.map((each) => each.node)) : null,
    make("div", { class: "send" }, button, took),
  );
}

function inPath(spec, call) {
  const parameters = call.operation.parameters ?? [];
  const properties = Object.fromEntries(parameters.map((each) => [each.name, { ...each.schema, description: each.description }]));
  const schema = { properties, required: parameters.map((each) => each.name) };
  return parameters.map((each) => ({ ...field(spec, schema, each.name, call), held: "path" }));
}

function inBody(spec, call) {
  const body = call.operation.requestBody?.content["application/json"];
  if (!body) return [];
  const schema = resolve(spec, body.schema);
  const names = Object.keys(schema.properties);
  const ordered = [...names.filter((name) => !COMMON_LAST.includes(name)), ...names.filter((n) => COMMON_LAST.includes(n))];
  return ordered.map((name) => ({ ...field(spec, schema, name, call, body.example?.[name]), held: "body" }));
}

function field(spec, schema, name, call, example) {
  const own = plain(spec, schema.properties[name]);
  const held = entry(spec, own);
  const required = (schema.required ?? []).includes(name);
  const id = `${call.anchor}-${name}`;
  const input = held ? listControl(id, example) : control(own, id);
  const note = make("p", { class: "wrong", hidden: true });
  const node = make(
    "div", { class: "field" },
    make("label", { for: id }, make("b", {}, name), make("span", { class: "kind" }, kind(spec, schema.properties[name])),
      required ? make("span", { class: "must" }, "required") : null),
    input,
    make("p", {}, ...prose(own.description ?? "")),
    note,
  );
  return {
    name, node, entry: held,
    first: required || call.method === "PUT" || ["k", "intent", "basket", "k_categories"].includes(name),
    read: () => value(spec, schema.properties[name], input.value),
    write: (text) => { input.value = text; },
    mark: (message) => {
      note.hidden = !message;
      note.textContent = message ?? "";
      input.toggleAttribute("aria-invalid", Boolean(message));
      if (message) { input.setAttribute("aria-invalid", "true"); node.closest("details")?.setAttribute("open", ""); }
    },
  };
}

/** Where a list of objects is typed as JSON; it begins with the document's own example. */
function listControl(id, example) {
  const area = make("textarea", { id, rows: 12, spellcheck: "false" });
  area.value = JSON.stringify(example ?? [], null, 1);
  return area;
}

function control(own, id) {
  const choices = own.type === "boolean" ? ["true", "false"] : own.enum;
  if (choices) {
    return make("select", { id }, ...choices.map((each) => make("option", { value: each, selected: each === String(own.default) }, each)));
  }
  const numeric = own.type === "integer" || own.type === "number";
  const hint = own.type === "array" ? "several, separated by commas" : (own.examples?.[0] ?? "");
  const initial = numeric && own.default !== undefined && own.default !== null ? String(own.default) : undefined;
  return make("input", { id, type: "text", inputmode: numeric ? "decimal" : undefined, placeholder: hint, value: initial, autocomplete: "off", spellcheck: "false" });
}

function curlLine({ method, path, body }) {
  const start = `curl -s ${method === "POST" || method === "GET" ? "" : `-X ${method} `}'${location.origin}${path.replaceAll("'", "%27")}'`;
  const key = document.getElementById("key").value.trim() ? ' \\\n  -H "Authorization: Bearer $TERCET_KEY"' : "";
  if (body === undefined) return start + key;
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  return `${start}${key} \\\n  -H 'Content-Type: application/json' \\\n  -d '${json}'`;
}

function copyButton(source) {
  const button = make("button", { type: "button", class: "plain" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

async function send({ method, path, body: asked }, { fields, answer, took, decided }) {
  fields.forEach((each) => each.mark());
  const started = performance.now();
  try {
    const content = asked === undefined ? { headers: headers() } : { headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(asked) };
    const response = await fetch(path, { method, ...content });
    const body = await response.json();
    took.textContent = `${response.status} in ${(performance.now() - started).toFixed(1)} ms`;
    for (const { field: name, message } of body.errors ?? []) fields.find((each) => each.name === name.split(".")[0])?.mark(message);
    answer.replaceChildren(...shown(response.ok, body));
    if (response.ok && method === "POST" && body.decision_id) decided(body.decision_id);
  } catch {
    took.textContent = "";
    answer.replaceChildren(make("p", { class: "bad" }, "The server can't be reached."));
  }
}

function shown(ok, body) {
  const raw = make("pre", {}, JSON.stringify(body, null, 2));
  const details = make("details", { class: "more", open: !ok || !body.items?.length }, make("summary", {}, "As JSON"), raw);
  if (!ok) return [make("p", { class: "bad" }, `${body.title}: ${body.detail}`), details];
  if (!body.model_version || body.cold_start === undefined && !body.items) return [details];
  const parts = [];
  if (body.items?.length) parts.push(make("ol", { class: "cards" }, ...body.items.map((item) => card(item, body.currency))));
  parts.push(make("p", { class: "foot" }, closing(body)), details);
  return parts;
}

function card(item, currency) {
  const chance = item.probability ?? null;
  const figure = chance !== null ? percent(chance) : item.lift !== undefined ? `×${item.lift.toFixed(1)}` : "";
  const price = item.price === null ? "" : ` · ${item.price.toFixed(2)} ${currency}`;
  return make(
    "li", { class: `card ${item.role ?? ""}` },
    make("header", {}, make("span", {}, item.role ? make("span", { class: "role" }, item.role) : null, make("strong", {}, item.name)), make("span", { class: "chance" }, figure)),
    make("p", {}, item.reason.text),
    make("p", { class: "meta" }, `${item.category} · ${item.product_type}${price} · ${item.product_id}`),
  );
}

function percent(chance) {
  return `${(100 * chance).toFixed(chance < 0.1 ? 1 : 0)} %`;
}

function closing(body) {
  const parts = [];
  if (body.completion_probability !== undefined) parts.push(`All of them by ${body.valid_to.slice(0, 10)}: ${percent(body.completion_probability)}.`);
  if (body.reward) parts.push(`Reward: ${body.reward.kind} worth ${body.reward.value.toFixed(2)} ${body.currency}.`);
  if (body.shortfall) parts.push(body.shortfall.text);
  for (const note of body.notes ?? []) parts.push(note.text);
  parts.push(body.cold_start ? "Nothing is known of this customer." : body.personalized ? "Personal." : "Not personal.");
  return `${parts.join(" ")} Model ${body.model_version}.`;
}

function answerTable(spec, schema) {
  return make("table", { class: "answer-table" }, make("tbody", {}, ...rows(spec, schema).map((row) => make(
    "tr", { class: `deep${row.depth}` }, make("td", {}, row.name), make("td", {}, row.kind), make("td", {}, ...prose(row.text)),
  ))));
}

function codeLists(spec) {
  const titles = {
    ReasonCode: "Why an item is there", OfferReasonCode: "Why an offer is made", WithheldCode: "Why an offer is withheld",
    ShortfallCode: "Why there are fewer items", NoteCode: "About the data",
  };
  return Object.entries(titles).filter(([name]) => spec.components.schemas[name]).flatMap(([name, title]) => [
    make("h3", {}, title),
    make("dl", {}, ...codes(spec.components.schemas[name].description).flatMap(({ code, text }) => [make("dt", {}, code), make("dd", {}, text)])),
  ]);
}

function fillCustomer(forms) {
  const input = document.getElementById("customer");
  const fill = () => forms.forEach((form) => {
    for (const name of ["customer_id", "customer_ids"]) form.set(name, input.value);
    form.setCustomer(input.value);
  });
  input.value = new URLSearchParams(location.search).get("customer_id") || "guest";
  input.addEventListener("input", fill);
  fill();
}

/** Put a product that this shop sells into the form that asks for one. */
async function fillProducts(forms) {
  const response = await fetch("/v1/recommendations", {
    method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify({ customer_id: "guest", k: 1, dry_run: true }),
  });
  if (!response.ok) return;
  const { items } = await response.json();
  if (items.length) forms.forEach((form) => form.set("product_ids", items[0].product_id));
}

async function showStatus() {
  const status = document.getElementById("status");
  const response = await fetch("/readyz");
  const body = await response.json();
  status.classList.toggle("ready", response.ok);
  status.classList.toggle("waiting", !response.ok);
  status.lastElementChild.textContent = response.ok ? `ready · model ${body.model_version}` : "no model serves yet";
  return response.ok;
}

start();
