// Addresses that a path is put behind: http(s)://host[:port][/path] and nothing else. Pure. Enters: text. Leaves: whether
// it is one; what is no URL at all is told by the schema that looks first.
export function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const { username, password, search, hash } = new URL(text);
  return username === "" && password === "" && search === "" && hash === "";
}
