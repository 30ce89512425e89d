/** Deeper ones are shown as they are: each level of brackets makes every line longer. */
const DEPTH_MAX = 64;
/** Characters that it may have at the most: so many times those of what it was made of, and some. */
const GROWTH = 8;
const ROOM = 64 * 1024;

/**
 * A JSON text with line breaks and indents: every token as it stands, numbers with all their digits, and members that stand twice, twice.
 * Null: it is none, or would become too long.
 */
export function indentJson(text: string): string | null {
  if (!isJson(text)) return null;
  const most = GROWTH * text.length + ROOM;
  const tokens = text.match(TOKEN) ?? [];
  const parts: string[] = [];
  let length = 0;
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    const opens = token === '{' || token === '[';
    const closes = token === '}' || token === ']';
    const isEmpty = opens && /^[}\]]$/.test(tokens[index + 1] ?? '');
    if (opens) depth += 1;
    if (closes) depth -= 1;
    if (depth > DEPTH_MAX) return null;
    const break_ = `\n${'  '.repeat(depth)}`;
    const before = closes && !/^[{[]$/.test(tokens[index - 1] ?? '') ? break_ : '';
    const behind = token === ':' ? ' ' : token === ',' || (opens && !isEmpty) ? break_ : '';
    const part = before + token + behind;
    length += part.length;
    if (length > most) return null;
    parts.push(part);
  }
  return parts.join('');
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
