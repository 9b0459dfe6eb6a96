// Reads JSON Schema as it stands in /docs.json: what a field is called, holds and may be. No page in here.

/** The schema that a reference points to; anything beside the reference stays. */
export function resolve(spec, schema) {
  if (!schema || !schema.$ref) return schema ?? {};
  const { $ref, ...beside } = schema;
  return { ...spec.components.schemas[$ref.split("/").pop()], ...beside };
}

/** A field's own schema, without the null that an optional one may also be. */
export function plain(spec, schema) {
  const whole = resolve(spec, schema);
  if (!whole.anyOf) return whole;
  const { anyOf, ...beside } = whole;
  return { ...resolve(spec, anyOf.find((each) => each.type !== "null")), ...beside };
}

/** The calls under /v1/ in the document's order: [{method, path, operation, anchor}]. */
export function operations(spec) {
  return Object.entries(spec.paths).filter(([path]) => path.startsWith("/v1/")).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => (
      { method: method.toUpperCase(), path, operation, anchor: operation.operationId.replaceAll("_", "-") }
    )));
}

/** The schema of a list's entries where they are objects, else undefined. */
export function entry(spec, own) {
  const held = own.type === "array" ? plain(spec, own.items) : {};
  return held.properties ? held : undefined;
}

/** Whether null is allowed. */
export function nullable(spec, schema) {
  return (resolve(spec, schema).anyOf ?? []).some((each) => each.type === "null");
}

/** What a field holds, in words: "list of text", "whole number, 1 to 100". */
export function kind(spec, schema) {
  const own = plain(spec, schema);
  if (own.enum) return own.enum.length > 3 ? "code" : own.enum.join(" | ");
  if (own.type === "array") return `list of ${entry(spec, own) ? "objects, as JSON" : kind(spec, own.items)}${range(own.minItems, own.maxItems, " items")}`;
  if (own.type === "string") return own.format === "date-time" ? "date and time" : "text";
  if (own.type === "integer") return `whole number${range(own.minimum, own.maximum)}`;
  if (own.type === "number") return `number${range(own.minimum ?? above(own), own.maximum)}`;
  if (own.type === "boolean") return "true | false";
  return "object";
}

function above(own) {
  return own.exclusiveMinimum === undefined ? undefined : `above ${own.exclusiveMinimum}`;
}

function range(low, high, unit = "") {
  const shown = (value) => (typeof value === "number" ? value.toLocaleString("en") : value);
  if (low !== undefined && high !== undefined) return `, ${shown(low)} to ${shown(high)}${unit}`;
  if (high !== undefined) return `, at most ${shown(high)}${unit}`;
  if (typeof low === "string") return `, ${low}`;
  return low !== undefined ? `, at least ${shown(low)}${unit}` : "";
}

/** The fields of an object, nested ones after the field that holds them: [{name, depth, kind, text}]. */
export function rows(spec, schema, depth = 0) {
  const own = plain(spec, schema);
  return Object.entries(own.properties ?? {}).flatMap(([name, field]) => {
    const inner = plain(spec, field);
    const held = inner.type === "array" ? plain(spec, inner.items) : inner;
    const optional = !(own.required ?? []).includes(name);
    const row = { name, depth, kind: kind(spec, field), text: described(inner, nullable(spec, field), optional) };
    return held.properties && depth < 2 ? [row, ...rows(spec, held, depth + 1)] : [row];
  });
}

/** A field's description, and what it leaves unsaid about being null or left out. */
function described(own, mayBeNull, optional) {
  const text = (own.description ?? "").startsWith("- `") ? "See Codes." : (own.description ?? "");
  const isNull = mayBeNull && !/\bnull\b/i.test(text) ? "May be null." : "";
  const leftOut = optional && !/left out|only if/i.test(text) ? "Left out when there is none." : "";
  return [text, isNull, leftOut].filter(Boolean).join(" ");
}

/** Code and explanation from a description that lists them as "- `code`: explanation". */
export function codes(description) {
  return [...description.matchAll(/^- `([^`]+)`: (.*)$/gm)].map(([, code, text]) => ({ code, text }));
}

/** What was typed, as the value that the field wants; undefined when nothing was typed. */
export function value(spec, schema, typed) {
  const own = plain(spec, schema);
  const text = String(typed).trim();
  if (entry(spec, own)) return json(text);
  if (own.type === "boolean") return text === String(own.default) || text === "" ? undefined : text === "true";
  if (own.type === "array") return text === "" ? undefined : text.split(",").map((each) => each.trim()).filter(Boolean);
  if (text === "") return undefined;
  if (own.type === "integer" || own.type === "number") return Number.isFinite(Number(text)) ? Number(text) : text;
  return own.enum && text === own.default ? undefined : text;
}

/** What JSON says; the text itself where it is none, so that the server can say what is wrong with it. */
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
