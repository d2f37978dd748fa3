/** JSON as python3.11's `json.dumps` writes it by default: spaces after separators, ASCII only. */
export function pyJson(value) {
  if (Array.isArray(value)) return `[${value.map(pyJson).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([key, item]) => `${pyJson(key)}: ${pyJson(item)}`)
      .join(", ")}}`;
  if (typeof value !== "string") return JSON.stringify(value);
  const text = JSON.stringify(value);
  return text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
