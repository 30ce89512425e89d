/** What became of one request. */
export interface Sent {
  /** Of the answer; null: there was none. */
  status: number | null;
  /** Why it does not count; null: the receiver has it. */
  failure: string | null;
  /** What the receiver asks to wait, s. */
  retryAfter: number | null;
}
