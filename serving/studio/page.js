// The API page: forms, curl lines and answers, all made from /docs.json. Text only ever enters as text, never as markup.

import { codes, kind, plain, resolve, rows, value } from "./schema.js";

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

async function start() {
  const spec = await (await fetch("/docs.json")).json();
  const calls = Object.entries(spec.paths).filter(([, methods]) => methods.post);
  const forms = calls.map(([path, methods]) => section(spec, path, methods.post));
  document.getElementById("calls").replaceChildren(...forms.map((form) => form.node));
  document.getElementById("nav").replaceChildren(
    ...calls.map(([path]) => make("li", {}, make("a", { href: `#${anchor(path)}` }, path.replace("/v1/", "")))),
  );
  document.getElementById("code-lists").replaceChildren(...codeLists(spec));
  fillCustomer(forms);
  if (await showStatus()) await fillProducts(forms);
  if (location.hash) document.querySelector(`[id="${location.hash.slice(1)}"]`)?.scrollIntoView();
}

function anchor(path) {
  return path.split("/").pop();
}

function section(spec, path, operation) {
  const body = operation.requestBody.content["application/json"];
  const schema = resolve(spec, body.schema);
  const names = Object.keys(schema.properties);
  const ordered = [...names.filter((name) => !COMMON_LAST.includes(name)), ...names.filter((n) => COMMON_LAST.includes(n))];
  const fields = ordered.map((name) => field(spec, schema, name, path));
  const curl = make("pre");
  const answer = make("div", { "aria-live": "polite" }, make("p", { class: "empty" }, "Send the form to see an answer."));
  const took = make("span", { class: "took" });
  const button = make("button", { type: "submit" }, "Send");
  const request = () => Object.fromEntries(fields.map((each) => [each.name, each.read()]).filter(([, got]) => got !== undefined));
  const refresh = () => { curl.textContent = curlLine(path, request()); };
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    await send(path, request(), { fields, answer, took });
    button.disabled = false;
  };
  const first = fields.filter((each) => each.first);
  const rest = fields.filter((each) => !each.first);
  const form = make(
    "form", { on: { submit, input: refresh }, novalidate: true },
    make("h3", {}, "Request"),
    ...first.map((each) => each.node),
    rest.length ? make("details", { class: "more" }, make("summary", {}, `${rest.length} more fields`), ...rest.map((each) => each.node)) : null,
    make("div", { class: "send" }, button, took),
  );
  const answerSchema = resolve(spec, operation.responses["200"].content["application/json"].schema);
  const node = make(
    "section", { class: "call", id: anchor(path) },
    make("h2", {}, make("span", { class: "verb" }, "POST"), make("span", { class: "path" }, path)),
    make("p", { class: "summary" }, operation.summary),
    make("div", { class: "columns" }, form, make("div", { class: "right" },
      make("h3", {}, "From a shell"), make("div", { class: "box" }, curl, copyButton(curl)), make("h3", {}, "Answer"), answer)),
    make("details", { class: "fields" }, make("summary", {}, "Every field of the answer"), answerTable(spec, answerSchema)),
  );
  const set = (name, text) => { fields.find((each) => each.name === name)?.write(text); refresh(); };
  refresh();
  return { node, set };
}

function field(spec, schema, name, path) {
  const own = plain(spec, schema.properties[name]);
  const required = (schema.required ?? []).includes(name);
  const id = `${anchor(path)}-${name}`;
  const input = control(own, id);
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
    name, node,
    first: required || ["k", "intent", "basket", "k_categories"].includes(name),
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

function curlLine(path, request) {
  const body = JSON.stringify(request).replaceAll("'", "'\\''");
  return `curl -s ${location.origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
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

async function send(path, request, { fields, answer, took }) {
  fields.forEach((each) => each.mark());
  const started = performance.now();
  try {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
    const body = await response.json();
    took.textContent = `${response.status} in ${(performance.now() - started).toFixed(1)} ms`;
    for (const { field: name, message } of body.errors ?? []) fields.find((each) => each.name === name.split(".")[0])?.mark(message);
    answer.replaceChildren(...shown(response.ok, body));
  } catch {
    took.textContent = "";
    answer.replaceChildren(make("p", { class: "bad" }, "The server can't be reached."));
  }
}

function shown(ok, body) {
  const raw = make("pre", {}, JSON.stringify(body, null, 2));
  const details = make("details", { class: "more", open: !ok || !body.items?.length }, make("summary", {}, "As JSON"), raw);
  if (!ok) return [make("p", { class: "bad" }, `${body.title}: ${body.detail}`), details];
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
  const titles = { ReasonCode: "Why an item is there", ShortfallCode: "Why there are fewer items", NoteCode: "About the data" };
  return Object.entries(titles).filter(([name]) => spec.components.schemas[name]).flatMap(([name, title]) => [
    make("h3", {}, title),
    make("dl", {}, ...codes(spec.components.schemas[name].description).flatMap(({ code, text }) => [make("dt", {}, code), make("dd", {}, text)])),
  ]);
}

function fillCustomer(forms) {
  const input = document.getElementById("customer");
  const fill = () => forms.forEach((form) => {
    for (const name of ["customer_id", "customer_ids"]) form.set(name, input.value);
  });
  input.value = new URLSearchParams(location.search).get("customer_id") || "guest";
  input.addEventListener("input", fill);
  fill();
}

/** Put a product that this shop sells into the form that asks for one. */
async function fillProducts(forms) {
  const response = await fetch("/v1/recommendations", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ customer_id: "guest", k: 1, dry_run: true }),
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
