/** Why a text is no address of a Statehub, as half a sentence; null when it is one. */
export function statehubUrlProblem(text: string): string | null {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'is neither http: nor https:';
  if (url.username !== '' || url.password !== '') return 'contains a user name or password, which logs would keep';
  if (url.search !== '' || url.hash !== '') return 'contains a query or a fragment';
  return null;
}

/** `{URL}/progress/`, whether or not the URL ends with a slash. */
export function progressUrl(statehub: string): string {
  return `${statehub.replace(/\/+$/, '')}/progress/`;
}
