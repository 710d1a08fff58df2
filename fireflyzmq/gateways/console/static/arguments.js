// Arguments: what somebody typed into a field, as the JSON of a call. Pure.

/** Whether an annotation says that only text fits. */
const isText = (annotation) => /^(str|Text)( *\| *None)?$|^(typing\.)?Optional\[str\]$/.test(annotation ?? "");

/** Whether an annotation says what, and that it is not text: then what is no JSON is a mistake. */
const isNotText = (annotation) => /\b(int|float|bool|dict|list|tuple|set|Mapping|Sequence|Decimal)\b/.test(annotation ?? "") && !/\bstr\b/.test(annotation);

function parsed(text) {
  try {
    return {value: JSON.parse(text)};
  } catch {
    return null;
  }
}

function named(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return {string: "text", boolean: "boolean", number: "number", object: "object"}[typeof value];
}

/**
 * What a field's text stands for: {json, kind}, {json: null} when it is left out, {problem} when it makes no sense.
 * A field for text takes what is typed as it is; another one takes JSON and, unless its type says no, anything as text.
 */
export function argument(parameter, typed) {
  const text = typed.trim();
  const several = parameter.kind === "arguments" || parameter.kind === "keywords";
  if (isText(parameter.annotation) && !several) {
    if (!typed && !parameter.required) return {json: null};
    return {json: JSON.stringify(typed), kind: "text"};
  }
  if (!text) return parameter.required ? {problem: "is needed"} : {json: null};
  const found = parsed(text);
  if (parameter.kind === "arguments") {
    return Array.isArray(found?.value) ? {json: text, items: [text.slice(1, -1)].filter((each) => each.trim()), kind: "array"} : {problem: "a JSON array"};
  }
  if (parameter.kind === "keywords") {
    return found && named(found.value) === "object" ? {json: text, kind: "object"} : {problem: "a JSON object"};
  }
  if (found) return {json: text, kind: named(found.value)};
  if (isNotText(parameter.annotation)) return {problem: `no JSON for ${parameter.annotation}`};
  return {json: JSON.stringify(typed), kind: "text"};
}

/** What a field shows below itself while somebody types. */
export function kindOf(parameter, typed) {
  if (!typed.trim()) return {text: "", problem: false};
  const {problem, kind} = argument(parameter, typed);
  return problem ? {text: problem, problem: true} : {text: kind, problem: false};
}
